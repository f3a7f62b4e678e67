#include "engine/model/decoder_spec.h"

namespace weft::engine {

std::vector<std::string> unsupported_features(const DecoderSpec& spec) {
  std::vector<std::string> missing;
  const auto need = [&](bool wanted, const char* feature) {
    if (wanted) missing.emplace_back(feature);
  };
  bool any_experts = spec.experts.has_value();
  for (const LayerSpec& layer : spec.layers)
    any_experts = any_experts || layer.experts;
  need(any_experts, "mixture of experts");
  need(spec.norm.kind != NormKind::rms, "layer norm");
  need(spec.qk_norm == QkNorm::full, "norm over all query or key heads together");
  need(spec.names.attention_norm.empty() || spec.names.mlp_norm.empty(), "a layer without norms before its branches");
  need(!spec.gated_mlp, "an MLP without a gate");
  need(spec.residual_scale != 1, "a scaled residual");
  return missing;
}

}  // namespace weft::engine
