// What planning, balancing and engine must agree on about a model: its sizes, and nothing of its weights or its text.
#pragma once

#include <cstdint>
#include <string>

#include "weft/buffer.h"
#include "weft/dtype.h"

namespace weft {

struct ModelShape {
  std::string architecture;  // config.json's first architecture: "LlamaForCausalLM"
  std::int32_t layers = 0;
  std::int32_t hidden = 0;  // width of the residual stream
  std::int32_t query_heads = 0;
  std::int32_t kv_heads = 0;
  std::int32_t head_dim = 0;
  std::int32_t intermediate = 0;  // width of the MLP (of one expert, where there are experts)
  std::int32_t vocabulary = 0;    // rows of the embedding
  std::int32_t max_context = 0;   // tokens the model was made for
  std::int32_t experts = 0;       // 0: dense
  std::int32_t experts_per_token = 0;
  bool tied_embeddings = false;
  DType dtype = DType::f32;  // the checkpoint's
  Bytes weight_bytes = 0;    // of the whole checkpoint, as stored
};

// Bytes that one token's keys and values take in one layer range on one rank: `layers` layers, K and V,
// `kv_heads` heads of this rank, elements of `dtype`.
constexpr Bytes kv_bytes_per_token(std::int32_t layers, std::int32_t kv_heads, std::int32_t head_dim,
                                   DType dtype) noexcept {
  return Bytes{2} * static_cast<Bytes>(layers) * static_cast<Bytes>(kv_heads) * static_cast<Bytes>(head_dim) *
         size_of(dtype);
}

}  // namespace weft
