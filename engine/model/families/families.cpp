#include "engine/model/families/family.h"

namespace weft::engine {

std::span<const Family> families() noexcept {
  static constexpr Family known[] = {
      {"Gemma3ForCausalLM", describe_gemma3},   {"LlamaForCausalLM", describe_llama},
      {"MistralForCausalLM", describe_mistral}, {"Olmo2ForCausalLM", describe_olmo2},
      {"Phi3ForCausalLM", describe_phi3},       {"Qwen2ForCausalLM", describe_qwen2},
      {"Qwen3ForCausalLM", describe_qwen3},
  };
  return known;
}

}  // namespace weft::engine
