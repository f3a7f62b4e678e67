#include "engine/model/model_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "engine/model/families/family.h"
#include "engine/model/tensor_list.h"
#include "engine/weights/checkpoint.h"
#include "engine/weights/json_file.h"

namespace weft::engine {
namespace {

constexpr const char* config_name = "config.json";
constexpr const char* generation_name = "generation_config.json";
constexpr Bytes max_config_bytes = 4u << 20;

Result<const Family*> find_family(ConfigReader& reader) {
  const nlohmann::json* list = reader.find("architectures");
  const bool is_list = list != nullptr && list->is_array();
  if (!is_list || list->empty() || !list->front().is_string()) {
    const std::string expected = fmt::format("a list with one of {}", fmt::join(known_architectures(), ", "));
    if (!is_list)
      reader.problem("architectures", list, expected);
    else if (list->empty())
      reader.problem("'architectures' is an empty list, expected " + expected);
    else
      reader.problem("architectures[0]", &list->front(), "a name, in " + expected);
    return fail(reader.status().error());
  }
  const auto& name = list->front().get_ref<const std::string&>();
  for (const Family& family : families())
    if (family.architecture == name) return &family;
  return fail(ErrorCode::unimplemented,
              fmt::format("model: {}: unknown architecture {}; this version knows {}", config_name, in_quotes(name),
                          fmt::join(known_architectures(), ", ")));
}

DType read_dtype(ConfigReader& reader) {
  const char* key = reader.find("dtype") != nullptr ? "dtype" : "torch_dtype";  // transformers 5, 4
  constexpr const char* expected = "float32, float16 or bfloat16";
  if (reader.find(key) == nullptr) return DType::f32;  // null too
  const std::string name = reader.text_or(key, "float32", expected);
  if (name == "float32") return DType::f32;
  if (name == "float16") return DType::f16;
  if (name == "bfloat16") return DType::bf16;
  reader.problem(key, reader.find(key), expected);
  return DType::f32;
}

void add_end_ids(ConfigReader& reader, ModelConfig& config) {
  for (const TokenId id : reader.ids("eos_token_id")) {
    if (id >= config.shape.vocabulary && reader.trusts({"vocab_size"}))
      reader.problem("eos_token_id", reader.find("eos_token_id"),
                     fmt::format("ids below the vocabulary's {}", config.shape.vocabulary));
    config.end_ids.push_back(id);
  }
  std::sort(config.end_ids.begin(), config.end_ids.end());
  config.end_ids.erase(std::unique(config.end_ids.begin(), config.end_ids.end()), config.end_ids.end());
}

Status read_generation(const nlohmann::json& generation, ModelConfig& config) {
  ConfigReader reader(generation, generation_name);
  add_end_ids(reader, config);
  GenerationDefaults& out = config.generation;
  if (reader.find("do_sample") != nullptr) out.do_sample = reader.flag_or("do_sample", false);
  if (reader.find("temperature") != nullptr) out.temperature = reader.number("temperature", 0, 1e3);
  if (reader.find("top_k") != nullptr) out.top_k = reader.size("top_k", INT32_MAX, 0);
  if (reader.find("top_p") != nullptr) out.top_p = reader.number("top_p", 1e-6, 1);
  if (reader.find("min_p") != nullptr) out.min_p = reader.number("min_p", 0, 1);
  if (reader.find("repetition_penalty") != nullptr)
    out.repetition_penalty = reader.number("repetition_penalty", 1e-3, 1e3);
  return reader.status();
}

}  // namespace

std::vector<std::string> known_architectures() {
  std::vector<std::string> names;
  for (const Family& family : families())
    names.emplace_back(family.architecture);
  std::sort(names.begin(), names.end());
  return names;
}

Result<ModelConfig> parse_model_config(const nlohmann::json& config, const nlohmann::json* generation) {
  ConfigReader reader(config, config_name);
  WEFT_ASSIGN(family, find_family(reader));
  if (const auto* quantized = reader.find("quantization_config"))
    reader.problem("quantization_config", quantized, "none: quantised checkpoints are not in this version");
  ModelConfig out;
  out.shape.architecture = family->architecture;
  out.shape.dtype = read_dtype(reader);
  family->describe(reader, out);
  add_end_ids(reader, out);
  if (reader.find("bos_token_id") != nullptr)
    out.bos_id = reader.size("bos_token_id", reader.trusts({"vocab_size"}) ? out.shape.vocabulary - 1 : INT32_MAX, 0);
  WEFT_TRY(reader.status());
  if (generation != nullptr) WEFT_TRY(read_generation(*generation, out));
  if (const auto missing = unsupported_features(out.decoder); !missing.empty())
    return fail(ErrorCode::unimplemented, fmt::format("model: {}: {} needs what is not in this version: {}",
                                                      config_name, out.shape.architecture, fmt::join(missing, ", ")));
  return out;
}

Result<ModelConfig> read_model_config(const std::string& directory) {
  const std::filesystem::path folder(directory);
  WEFT_ASSIGN_CONTEXT(config, read_json_file((folder / config_name).string(), max_config_bytes), "model");
  auto generation = read_json_file((folder / generation_name).string(), max_config_bytes);
  if (!generation && generation.error().code != ErrorCode::not_found)
    return fail(annotate(std::move(generation).error(), "model"));
  WEFT_ASSIGN(out, parse_model_config(config, generation ? &*generation : nullptr));
  WEFT_ASSIGN(checkpoint, Checkpoint::open(directory));
  WEFT_TRY(check_tensors(checkpoint, out));
  out.shape.weight_bytes = checkpoint.bytes();
  return out;
}

}  // namespace weft::engine
