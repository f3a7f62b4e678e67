#include "tests/unit/model/plain_forward.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <numbers>

#include "engine/model/model_config.h"
#include "engine/model/tensor_list.h"
#include "engine/weights/checkpoint.h"

namespace weft::test {
namespace {

using engine::DecoderSpec;
using engine::RopeSpec;
using Vector = std::vector<double>;

class PlainDecoder {
 public:
  PlainDecoder(const engine::Checkpoint& checkpoint, const engine::ModelConfig& config)
      : checkpoint_(checkpoint), config_(config), spec_(config.decoder) {}

  std::vector<Vector> logits(std::span<const TokenId> ids) {
    const auto hidden = static_cast<std::size_t>(config_.shape.hidden);
    const Vector table = tensor(spec_.names.embedding);
    std::vector<Vector> stream;
    for (const TokenId id : ids) {
      Vector row(table.begin() + id * config_.shape.hidden, table.begin() + (id + 1) * config_.shape.hidden);
      for (double& x : row)
        x *= spec_.embedding_scale;
      stream.push_back(row);
    }
    for (std::int64_t layer = 0; layer < config_.shape.layers; ++layer) {
      add(stream, attention(layer, norm_all(stream, spec_.names.attention_norm, layer)),
          spec_.names.attention_post_norm, layer);
      add(stream, mlp(layer, norm_all(stream, spec_.names.mlp_norm, layer)), spec_.names.mlp_post_norm, layer);
    }
    const Vector head = config_.shape.tied_embeddings ? table : tensor(spec_.names.head);
    std::vector<Vector> out;
    for (const Vector& row : norm_all(stream, spec_.names.final_norm, 0)) {
      Vector logits = times(head, hidden, row);
      for (double& x : logits) {
        x *= spec_.logit_scale;
        if (spec_.logit_soft_cap > 0) x = spec_.logit_soft_cap * std::tanh(x / spec_.logit_soft_cap);
      }
      out.push_back(logits);
    }
    return out;
  }

 private:
  Vector tensor(const std::string& name) {
    const engine::TensorEntry* entry = checkpoint_.find(name).tensor;
    if (entry == nullptr) {
      ADD_FAILURE() << "no tensor " << name;
      return {};
    }
    std::vector<float> values(entry->bytes / sizeof(float));
    std::memcpy(values.data(), entry->data, entry->bytes);
    return {values.begin(), values.end()};
  }

  // The matrix's rows, with its bias in `bias` where there is one.
  Vector matrix(const engine::MatrixPlace& place, std::int64_t rows, bool has_bias, Vector& bias) {
    const Vector whole = tensor(place.tensor);
    if (has_bias) {
      const Vector all = tensor(engine::bias_name(place.tensor));
      bias.assign(all.begin() + place.first_row, all.begin() + place.first_row + rows);
    }
    return {whole.begin() + place.first_row * place.columns, whole.begin() + (place.first_row + rows) * place.columns};
  }

  static Vector times(const Vector& matrix, std::size_t columns, const Vector& in, const Vector& bias = {}) {
    Vector out(matrix.size() / columns);
    for (std::size_t row = 0; row < out.size(); ++row) {
      out[row] = bias.empty() ? 0 : bias[row];
      for (std::size_t i = 0; i < columns; ++i)
        out[row] += matrix[row * columns + i] * in[i];
    }
    return out;
  }

  void norm(double* x, std::size_t size, const Vector& weight) const {
    double squares = 0;
    for (std::size_t i = 0; i < size; ++i)
      squares += x[i] * x[i];
    const double scale = 1 / std::sqrt(squares / static_cast<double>(size) + spec_.norm.epsilon);
    for (std::size_t i = 0; i < size; ++i)
      x[i] *= scale * (weight[i] + spec_.norm.weight_offset);
  }

  std::vector<Vector> norm_all(std::vector<Vector> rows, const std::string& name, std::int64_t layer) {
    if (name.empty()) return rows;
    const Vector weight = tensor(engine::layer_name(name, layer));
    for (Vector& row : rows)
      norm(row.data(), row.size(), weight);
    return rows;
  }

  void add(std::vector<Vector>& stream, std::vector<Vector> branch, const std::string& post_norm, std::int64_t layer) {
    branch = norm_all(std::move(branch), post_norm, layer);
    for (std::size_t t = 0; t < stream.size(); ++t)
      for (std::size_t i = 0; i < stream[t].size(); ++i)
        stream[t][i] += spec_.residual_scale * branch[t][i];
  }

  double frequency(const RopeSpec& rope, std::int32_t pair) const {
    const double plain = std::pow(rope.theta, -2.0 * pair / rope.dimensions);
    if (rope.scaling == RopeSpec::Scaling::none) return plain;
    if (rope.scaling == RopeSpec::Scaling::linear) return plain / rope.factor;
    const double turns = rope.original_context * plain / (2 * std::numbers::pi);  // in the original context
    const double share = (turns - rope.low_frequency_factor) / (rope.high_frequency_factor - rope.low_frequency_factor);
    const double smooth = std::min(1.0, std::max(0.0, share));
    return smooth * plain + (1 - smooth) * plain / rope.factor;
  }

  void turn(double* head, const RopeSpec& rope, std::size_t position) const {
    const std::int32_t half = rope.dimensions / 2;
    for (std::int32_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(position) * frequency(rope, i);
      const double x = head[i], y = head[i + half];
      head[i] = x * std::cos(angle) - y * std::sin(angle);
      head[i + half] = y * std::cos(angle) + x * std::sin(angle);
    }
  }

  // Queries, keys or values of one position, normed and turned where the decoder does.
  Vector heads(const Vector& weights, const Vector& bias, const Vector& in, const std::string& norm_name,
               std::int64_t layer, std::size_t position, bool turns) {
    const auto dim = static_cast<std::size_t>(config_.shape.head_dim);
    const engine::LayerSpec& kind = spec_.layers[static_cast<std::size_t>(layer)];
    Vector out = times(weights, in.size(), in, bias);
    const Vector weight = norm_name.empty() ? Vector() : tensor(engine::layer_name(norm_name, layer));
    const bool full = spec_.qk_norm == engine::QkNorm::full;
    if (full && !weight.empty()) norm(out.data(), out.size(), weight);
    for (std::size_t head = 0; head < out.size() / dim; ++head) {
      if (!full && !weight.empty()) norm(out.data() + head * dim, dim, weight);
      if (turns) turn(out.data() + head * dim, spec_.ropes[static_cast<std::size_t>(kind.rope)], position);
    }
    return out;
  }

  std::vector<Vector> attention(std::int64_t layer, const std::vector<Vector>& in) {
    const engine::LayerPlaces places = engine::layer_places(config_, layer);
    const std::int64_t query_rows = config_.shape.query_heads * config_.shape.head_dim;
    const std::int64_t kv_rows = config_.shape.kv_heads * config_.shape.head_dim;
    Vector query_bias, key_bias, value_bias, output_bias;
    const Vector query = matrix(places.query, query_rows, spec_.qkv_bias, query_bias);
    const Vector key = matrix(places.key, kv_rows, spec_.qkv_bias, key_bias);
    const Vector value = matrix(places.value, kv_rows, spec_.qkv_bias, value_bias);
    const Vector output = matrix(places.output, config_.shape.hidden, spec_.output_bias, output_bias);
    std::vector<Vector> queries, keys, values, out;
    for (std::size_t t = 0; t < in.size(); ++t) {
      queries.push_back(heads(query, query_bias, in[t], spec_.names.query_norm, layer, t, true));
      keys.push_back(heads(key, key_bias, in[t], spec_.names.key_norm, layer, t, true));
      values.push_back(heads(value, value_bias, in[t], "", layer, t, false));
    }
    for (std::size_t t = 0; t < in.size(); ++t)
      out.push_back(
          times(output, static_cast<std::size_t>(query_rows), attend(layer, t, queries[t], keys, values), output_bias));
    return out;
  }

  Vector attend(std::int64_t layer, std::size_t t, const Vector& query, const std::vector<Vector>& keys,
                const std::vector<Vector>& values) const {
    const auto dim = static_cast<std::size_t>(config_.shape.head_dim);
    const auto window = static_cast<std::size_t>(spec_.layers[static_cast<std::size_t>(layer)].window);
    const std::size_t first = window == 0 || t + 1 <= window ? 0 : t + 1 - window;
    const auto group = static_cast<std::size_t>(config_.shape.query_heads / config_.shape.kv_heads);
    Vector out(query.size(), 0);
    for (std::size_t head = 0; head < query.size() / dim; ++head) {
      const std::size_t kv = head / group * dim;
      Vector shares;
      double sum = 0;
      for (std::size_t s = first; s <= t; ++s) {
        double score = 0;
        for (std::size_t i = 0; i < dim; ++i)
          score += query[head * dim + i] * keys[s][kv + i];
        score *= spec_.attention_scale;
        if (spec_.attention_soft_cap > 0)
          score = spec_.attention_soft_cap * std::tanh(score / spec_.attention_soft_cap);
        shares.push_back(std::exp(score));
        sum += shares.back();
      }
      for (std::size_t s = first; s <= t; ++s)
        for (std::size_t i = 0; i < dim; ++i)
          out[head * dim + i] += shares[s - first] / sum * values[s][kv + i];
    }
    return out;
  }

  double activate(double x) const {
    switch (spec_.activation) {
      case Activation::silu: return x / (1 + std::exp(-x));
      case Activation::gelu: return 0.5 * x * (1 + std::erf(x / std::numbers::sqrt2));
      case Activation::gelu_tanh:
        return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
    }
    return 0;
  }

  Vector gated_mlp(const engine::MlpPlaces& places, std::int64_t width, const Vector& in) {
    Vector gate_bias, up_bias, down_bias;
    const Vector gate = matrix(places.gate, width, spec_.mlp_bias, gate_bias);
    const Vector up = matrix(places.up, width, spec_.mlp_bias, up_bias);
    const Vector down = matrix(places.down, config_.shape.hidden, spec_.mlp_bias, down_bias);
    Vector wide = times(up, in.size(), in, up_bias);
    const Vector gates = times(gate, in.size(), in, gate_bias);
    for (std::size_t i = 0; i < wide.size(); ++i)
      wide[i] *= activate(gates[i]);
    return times(down, static_cast<std::size_t>(width), wide, down_bias);
  }

  // Shazeer et al., arXiv 1701.06538, eq. 1, with the gate of the family.
  Vector mixture(std::int64_t layer, const Vector& in) {
    const auto count = static_cast<std::size_t>(config_.shape.experts);
    Vector none;
    const Vector router = matrix(engine::router_place(config_, layer), config_.shape.experts, false, none);
    Vector shares = times(router, in.size(), in);
    for (double& share : shares)
      share = std::exp(share);
    double all = 0, chosen = 0;
    for (const double share : shares)
      all += share;
    std::vector<bool> takes(count, false);
    for (std::int32_t k = 0; k < config_.shape.experts_per_token; ++k) {
      std::size_t best = count;
      for (std::size_t e = 0; e < count; ++e)
        if (!takes[e] && (best == count || shares[e] > shares[best])) best = e;
      takes[best] = true;
      chosen += shares[best];
    }
    Vector out(in.size(), 0);
    for (std::size_t e = 0; e < count; ++e) {
      if (!takes[e]) continue;
      const auto expert = engine::expert_places(config_, layer, static_cast<std::int64_t>(e));
      const Vector part = gated_mlp(expert, config_.shape.intermediate, in);
      for (std::size_t i = 0; i < out.size(); ++i)
        out[i] += shares[e] / (spec_.experts->normalize ? chosen : all) * part[i];
    }
    return out;
  }

  std::vector<Vector> mlp(std::int64_t layer, const std::vector<Vector>& in) {
    const bool mixes = spec_.layers[static_cast<std::size_t>(layer)].experts;
    std::vector<Vector> out;
    for (const Vector& row : in)
      out.push_back(mixes ? mixture(layer, row)
                          : gated_mlp(engine::mlp_places(config_, layer), engine::dense_columns(config_), row));
    return out;
  }

  const engine::Checkpoint& checkpoint_;
  const engine::ModelConfig& config_;
  const DecoderSpec& spec_;
};

}  // namespace

std::vector<std::vector<double>> plain_logits(const std::string& directory, std::span<const TokenId> ids) {
  const auto config = engine::read_model_config(directory);
  const auto checkpoint = engine::Checkpoint::open(directory);
  EXPECT_TRUE(config && checkpoint);
  if (!config || !checkpoint) return {};
  return PlainDecoder(*checkpoint, *config).logits(ids);
}

}  // namespace weft::test
