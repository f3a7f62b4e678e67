#include "engine/model/tensor_list.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "engine/weights/json_file.h"

namespace weft::engine {
namespace {

MatrixPlace place(const MatrixSource& source, std::int64_t layer, std::int64_t rows, std::int64_t columns) {
  return {.tensor = layer_name(source.tensor, layer),
          .tensor_rows = source.tensor_rows == 0 ? rows : source.tensor_rows,
          .columns = columns,
          .first_row = source.first_row};
}

MatrixPlace expert_place(const MatrixSource& source, std::int64_t layer, std::int64_t expert, std::int64_t experts,
                         std::int64_t rows, std::int64_t columns) {
  MatrixPlace out = place(source, layer, rows, columns);
  if (const auto hole = out.tensor.find("{e}"); hole != std::string::npos)
    out.tensor.replace(hole, 3, std::to_string(expert));
  if (!source.stacked) return out;
  out.planes = experts;
  out.first_row += expert * out.tensor_rows;
  out.tensor_rows *= experts;
  return out;
}

void add_layer(const ModelConfig& config, std::int64_t layer,
               std::map<std::string, std::vector<std::int64_t>>& tensors) {
  const DecoderSpec& decoder = config.decoder;
  const TensorNames& names = decoder.names;
  const auto add_vector = [&](const std::string& name, std::int64_t size) {
    if (!name.empty()) tensors[layer_name(name, layer)] = {size};
  };
  const auto add_matrix = [&](const MatrixPlace& matrix, bool bias) {
    tensors[matrix.tensor] = tensor_shape(matrix);
    if (bias) tensors[bias_name(matrix.tensor)] = {matrix.tensor_rows};
  };
  const LayerPlaces places = layer_places(config, layer);
  for (const MatrixPlace* matrix : {&places.query, &places.key, &places.value})
    add_matrix(*matrix, decoder.qkv_bias);
  add_matrix(places.output, decoder.output_bias);
  const auto add_mlp = [&](const MlpPlaces& mlp) {
    for (const MatrixPlace* matrix : {&mlp.gate, &mlp.up, &mlp.down})
      add_matrix(*matrix, decoder.mlp_bias);
  };
  if (has_experts(config, layer)) {
    add_matrix(router_place(config, layer), false);
    for (std::int32_t expert = 0; expert < config.shape.experts; ++expert)
      add_mlp(expert_places(config, layer, expert));
  } else {
    add_mlp(mlp_places(config, layer));
  }
  for (const std::string* norm :
       {&names.attention_norm, &names.attention_post_norm, &names.mlp_norm, &names.mlp_post_norm})
    add_vector(*norm, config.shape.hidden);
  const bool full = decoder.qk_norm == QkNorm::full;
  add_vector(names.query_norm, std::int64_t{config.shape.head_dim} * (full ? config.shape.query_heads : 1));
  add_vector(names.key_norm, std::int64_t{config.shape.head_dim} * (full ? config.shape.kv_heads : 1));
}

bool may_be_ignored(const ModelConfig& config, std::string_view name) {
  const TensorNames& names = config.decoder.names;
  if (config.shape.tied_embeddings && name == names.head) return true;
  for (const std::string& pattern : names.ignored) {
    const auto hole = pattern.find("{}");
    if (hole == std::string::npos
            ? name == pattern
            : name.starts_with(pattern.substr(0, hole)) && name.ends_with(pattern.substr(hole + 2)))
      return true;
  }
  return false;
}

// At most five, then how many more.
void add_some(std::vector<std::string>& lines, const std::vector<std::string>& found) {
  constexpr std::size_t shown = 5;
  lines.insert(lines.end(), found.begin(), found.begin() + static_cast<std::ptrdiff_t>(std::min(shown, found.size())));
  if (found.size() > shown) lines.push_back(fmt::format("... and {} more like it", found.size() - shown));
}

}  // namespace

std::string layer_name(const std::string& name, std::int64_t layer) {
  const auto hole = name.find("{}");
  return hole == std::string::npos ? name : std::string(name).replace(hole, 2, std::to_string(layer));
}

std::string bias_name(const std::string& weight) {
  const std::string_view suffix = ".weight";
  return weight.substr(0, weight.size() - (weight.ends_with(suffix) ? suffix.size() : 0)) + ".bias";
}

LayerPlaces layer_places(const ModelConfig& config, std::int64_t layer) {
  const ModelShape& shape = config.shape;
  const TensorNames& names = config.decoder.names;
  const std::int64_t hidden = shape.hidden;
  const std::int64_t query_rows = std::int64_t{shape.query_heads} * shape.head_dim;
  const std::int64_t kv_rows = std::int64_t{shape.kv_heads} * shape.head_dim;
  return {.query = place(names.query, layer, query_rows, hidden),
          .key = place(names.key, layer, kv_rows, hidden),
          .value = place(names.value, layer, kv_rows, hidden),
          .output = place(names.output, layer, hidden, query_rows)};
}

MlpPlaces mlp_places(const ModelConfig& config, std::int64_t layer) {
  const TensorNames& names = config.decoder.names;
  const std::int64_t hidden = config.shape.hidden;
  const std::int64_t columns = dense_columns(config);
  return {.gate = place(names.gate, layer, columns, hidden),
          .up = place(names.up, layer, columns, hidden),
          .down = place(names.down, layer, hidden, columns)};
}

MlpPlaces expert_places(const ModelConfig& config, std::int64_t layer, std::int64_t expert) {
  const ExpertsSpec& experts = *config.decoder.experts;
  const std::int64_t hidden = config.shape.hidden;
  const std::int64_t columns = config.shape.intermediate;
  const std::int64_t count = config.shape.experts;
  return {.gate = expert_place(experts.gate, layer, expert, count, columns, hidden),
          .up = expert_place(experts.up, layer, expert, count, columns, hidden),
          .down = expert_place(experts.down, layer, expert, count, hidden, columns)};
}

MatrixPlace router_place(const ModelConfig& config, std::int64_t layer) {
  return place(config.decoder.experts->router, layer, config.shape.experts, config.shape.hidden);
}

std::int64_t dense_columns(const ModelConfig& config) noexcept {
  return config.decoder.experts ? config.decoder.experts->dense_intermediate : config.shape.intermediate;
}

bool has_experts(const ModelConfig& config, std::int64_t layer) noexcept {
  return config.decoder.layers[static_cast<std::size_t>(layer)].experts;
}

std::map<std::string, std::vector<std::int64_t>> expected_tensors(const ModelConfig& config) {
  const TensorNames& names = config.decoder.names;
  std::map<std::string, std::vector<std::int64_t>> tensors;
  tensors[names.embedding] = {config.shape.vocabulary, config.shape.hidden};
  tensors[names.final_norm] = {config.shape.hidden};
  if (!config.shape.tied_embeddings) tensors[names.head] = {config.shape.vocabulary, config.shape.hidden};
  for (std::int32_t layer = 0; layer < config.shape.layers; ++layer)
    add_layer(config, layer, tensors);
  return tensors;
}

Status check_tensors(const Checkpoint& checkpoint, const ModelConfig& config) {
  std::vector<std::string> missing, wrong, extra, lines;
  const auto expected = expected_tensors(config);
  for (const auto& [name, shape] : expected) {
    if (auto found = checkpoint.tensor(name, shape); !found)
      (found.error().code == ErrorCode::not_found ? missing : wrong).push_back(std::move(found).error().message);
  }
  for (const std::string_view name : checkpoint.names()) {
    if (expected.contains(std::string(name)) || may_be_ignored(config, name)) continue;
    const auto [tensor, file] = checkpoint.find(name);
    extra.push_back(fmt::format("weights: {}: tensor {} of shape {} is not part of a {} with this config.json", file,
                                in_quotes(name), shape_text(tensor->shape), config.shape.architecture));
  }
  for (const auto* found : {&wrong, &missing, &extra})
    add_some(lines, *found);
  if (lines.empty()) return {};
  return fail(ErrorCode::invalid_argument, fmt::format("{}", fmt::join(lines, "\n")));
}

}  // namespace weft::engine
