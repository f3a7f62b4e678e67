#include "engine/model/decoder_spec.h"

namespace weft::engine {

std::vector<std::string> unsupported_features(const DecoderSpec& spec) {
  std::vector<std::string> missing;
  const auto need = [&](bool wanted, const char* feature) {
    if (wanted) missing.emplace_back(feature);
  };
  need(spec.experts && spec.experts->shared_intermediate != 0, "an expert that every token takes");
  need(spec.norm.kind != NormKind::rms, "layer norm");
  const TensorNames& names = spec.names;
  need((names.attention_norm.empty() && names.attention_post_norm.empty()) ||
           (names.mlp_norm.empty() && names.mlp_post_norm.empty()),
       "a branch without a norm before or after it");
  need(!spec.gated_mlp, "an MLP without a gate");
  need(spec.residual_scale != 1 && !(names.attention_post_norm.empty() && names.mlp_post_norm.empty()),
       "a scaled residual after a norm");
  need(spec.experts && spec.mlp_bias, "experts with biases");
  return missing;
}

}  // namespace weft::engine
