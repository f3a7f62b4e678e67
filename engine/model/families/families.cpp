#include "engine/model/families/family.h"

namespace weft::engine {

std::span<const Family> families() noexcept {
  static constexpr Family known[] = {
      {"LlamaForCausalLM", describe_llama},
  };
  return known;
}

}  // namespace weft::engine
