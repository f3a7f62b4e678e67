#include "engine/model/families/family.h"

namespace weft::engine {

std::span<const Family> families() noexcept {
  static constexpr Family known[] = {
      {"Gemma3ForCausalLM", describe_gemma3},   {"GraniteMoeForCausalLM", describe_granitemoe},
      {"LlamaForCausalLM", describe_llama},     {"MistralForCausalLM", describe_mistral},
      {"MixtralForCausalLM", describe_mixtral}, {"Olmo2ForCausalLM", describe_olmo2},
      {"Phi3ForCausalLM", describe_phi3},       {"Qwen2ForCausalLM", describe_qwen2},
      {"Qwen3ForCausalLM", describe_qwen3},     {"Qwen3MoeForCausalLM", describe_qwen3_moe},
  };
  return known;
}

}  // namespace weft::engine
