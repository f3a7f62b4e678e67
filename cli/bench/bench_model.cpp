#include "cli/bench/bench_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cstdlib>
#include <filesystem>

#include "engine/model/random_model.h"
#include "weft/time.h"

namespace weft::cli {
namespace {

namespace fs = std::filesystem;

struct Sizes {
  const char* name;
  int hidden;
  int layers;
  int heads;
  int intermediate;
  int vocabulary;
};

constexpr int kv_heads_of_all = 4;
constexpr std::array<Sizes, 2> models = {{
    {.name = "bench-100m", .hidden = 768, .layers = 12, .heads = 12, .intermediate = 2048, .vocabulary = 32000},
    {.name = "bench-430m", .hidden = 1024, .layers = 24, .heads = 16, .intermediate = 4096, .vocabulary = 65536},
}};

Result<std::string> cache_folder() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache == '/')
    return std::string(cache) + "/weft/models";
  if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/')
    return std::string(home) + "/.cache/weft/models";
  return fail(
      ErrorCode::failed_precondition,
      "neither XDG_CACHE_HOME nor HOME names a directory to make the model in; name one: weft bench model --to DIR");
}

}  // namespace

std::vector<std::string> bench_models() {
  std::vector<std::string> names;
  for (const Sizes& each : models)
    names.emplace_back(each.name);
  return names;
}

std::optional<nlohmann::json> bench_model_config(std::string_view name) {
  for (const Sizes& sizes : models)
    if (name == sizes.name)
      return nlohmann::json{{"architectures", {"LlamaForCausalLM"}},
                            {"model_type", "llama"},
                            {"hidden_act", "silu"},
                            {"hidden_size", sizes.hidden},
                            {"num_hidden_layers", sizes.layers},
                            {"num_attention_heads", sizes.heads},
                            {"num_key_value_heads", kv_heads_of_all},
                            {"intermediate_size", sizes.intermediate},
                            {"vocab_size", sizes.vocabulary},
                            {"max_position_embeddings", 4096},
                            {"rms_norm_eps", 1e-5},
                            {"rope_theta", 10000.0},
                            {"tie_word_embeddings", true}};
  return std::nullopt;
}

Result<std::string> provide_bench_model(const BenchModel& model) {
  const auto config = bench_model_config(model.name);
  if (!config)
    return fail(ErrorCode::not_found, fmt::format("'{}' is no model that weft bench makes; there are {}", model.name,
                                                  fmt::join(bench_models(), ", ")));
  std::string directory = model.directory;
  if (directory.empty()) {
    WEFT_ASSIGN(folder, cache_folder());
    directory = fmt::format("{}/{}-{}-seed{}", folder, model.name, to_string(model.type), model.seed);
  }
  std::error_code code;
  directory = fs::absolute(directory, code).lexically_normal().string();
  const Time start = Clock::now();
  WEFT_ASSIGN(made, engine::make_random_model(directory, {.config = &*config, .type = model.type, .seed = model.seed}));
  if (made)
    fmt::print(stderr, "{}: made {} of random weights in {:.1f} s\n", directory, model.name,
               std::chrono::duration<double>(Clock::now() - start).count());
  return directory;
}

Result<std::string> resolve_model(const std::string& name_or_directory) {
  if (bench_model_config(name_or_directory)) return provide_bench_model({.name = name_or_directory});
  std::error_code code;
  if (!fs::is_directory(name_or_directory, code))
    return fail(ErrorCode::not_found,
                fmt::format("--model {}: neither a directory nor one of {}, which weft bench makes itself",
                            name_or_directory, fmt::join(bench_models(), ", ")));
  return fs::absolute(name_or_directory, code).lexically_normal().string();
}

}  // namespace weft::cli
