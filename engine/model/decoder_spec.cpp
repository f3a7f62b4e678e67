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
  const TensorNames& names = spec.names;
  need((names.attention_norm.empty() && names.attention_post_norm.empty()) ||
           (names.mlp_norm.empty() && names.mlp_post_norm.empty()),
       "a branch without a norm before or after it");
  need(!spec.gated_mlp, "an MLP without a gate");
  need(spec.residual_scale != 1, "a scaled residual");
  return missing;
}

}  // namespace weft::engine
