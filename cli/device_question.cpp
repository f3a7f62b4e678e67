#include "cli/device_question.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>

#include "weft/device.h"
#include "worker/runner_spec.h"

namespace weft::cli {
namespace {

using Json = nlohmann::json;

// Of each stage; its ranks have as many KV heads each.
std::vector<KvSpec> kv_specs(const Config& config, const engine::ModelConfig& model) {
  std::vector<KvSpec> specs;
  for (std::int32_t stage = 0; stage < config.parallel.pipeline; ++stage) {
    const engine::RankPosition position{
        .tp_size = config.parallel.tensor, .pp_rank = stage, .pp_size = config.parallel.pipeline};
    const auto rank = engine::rank_shape(model.shape, position);
    if (!rank) return {};
    specs.push_back(engine::kv_spec(model, *rank, worker::runner_spec(config, model, position, 0)));
  }
  return specs;
}

// In the child.
std::string answer(const Device& device, DType dtype, const std::vector<KvSpec>& specs) {
  if (const Status computes = engine::check_dtype(dtype, device.info()); !computes)
    return Json({{"refused", computes.error().message}}).dump(-1, ' ', false, Json::error_handler_t::replace);
  Json blocks = Json::array();
  for (const KvSpec& spec : specs)
    blocks.push_back(device.kv_block_bytes(spec));
  return Json({{"kv_block", std::move(blocks)}}).dump();
}

}  // namespace

Result<DeviceAnswer> ask_device(const PluginHost& host, const LoadedPlugin& device, const PluginOptions& options,
                                const Config& config, const engine::ModelConfig& model) {
  const std::vector<KvSpec> specs = kv_specs(config, model);
  if (specs.empty()) return DeviceAnswer{};
  const DType dtype = specs.front().type;
  WEFT_ASSIGN(text, host.ask(device, options,
                             [&](void* object) { return answer(*static_cast<const Device*>(object), dtype, specs); }));
  // What a child sends need not be what it was made to send.
  const Json json = Json::parse(text, nullptr, false);
  const auto strange = [&] {
    return fail(ErrorCode::internal, fmt::format("plugin {}: it wrote into the host's pipe", device.id()));
  };
  if (!json.is_object()) return strange();
  if (json.contains("refused") && json["refused"].is_string())
    return fail(ErrorCode::unimplemented, json["refused"].get<std::string>());
  DeviceAnswer out;
  if (!json.contains("kv_block") || !json["kv_block"].is_array()) return strange();
  for (const Json& bytes : json["kv_block"]) {
    if (!bytes.is_number_unsigned()) return strange();
    out.kv_block.push_back(bytes.get<Bytes>());
  }
  if (out.kv_block.size() != specs.size()) return strange();
  return out;
}

DeviceAnswer guess_device(const Config& config, const engine::ModelConfig& model) {
  DeviceAnswer out;
  for (const KvSpec& spec : kv_specs(config, model))
    out.kv_block.push_back(static_cast<Bytes>(spec.block_size) *
                           kv_bytes_per_token(spec.layers, spec.kv_heads, spec.head_dim, spec.type));
  return out;
}

}  // namespace weft::cli
