// Checks of device.h's arguments, for devices in host memory. After a check has passed, plain loops over the
// arguments stay inside every buffer. All errors are invalid_argument and name the operation, what was found
// and what was expected.
//
// A device finds its own class behind `const Weight*` and `KvCache*` and passes its shape here; null says
// that there was none, or another device's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "weft/device.h"

namespace weft {

struct WeightShape {
  std::string name;
  WeightUse use = WeightUse::linear;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  bool bias = false;
};

struct CacheShape {
  KvSpec spec;
  std::int32_t blocks = 0;
};

// The sum of the parts' rows, their common width and whether they have biases. unimplemented for
// quantisation.
Result<WeightShape> check_parts(std::span<const WeightPart> parts, const WeightSpec& spec);
// Every size positive, the type a float, and the cache's bytes within 2^62 at 16 elements of padding a row.
Status check_cache(const KvSpec& spec, std::int32_t blocks);

Status check_stream(Stream stream);
// A float matrix of exactly this shape inside host memory.
Status check_view(std::string_view name, const TensorView& view, std::int64_t rows, std::int64_t columns);
// `count` i32 inside host memory.
Status check_indices(std::string_view name, const Buffer& buffer, std::int64_t count);

Status check_embed(const EmbedArgs& args, const WeightShape* table);
Status check_rms_norm(const NormArgs& args, const WeightShape* weight);
Status check_linear(const LinearArgs& args, const WeightShape* weight);
// The weights are null where `args` has none.
struct RopeWeights {
  const WeightShape* table = nullptr;
  const WeightShape* query_norm = nullptr;
  const WeightShape* key_norm = nullptr;
};
Status check_rope(const RopeArgs& args, const RopeWeights& weights, const CacheShape* cache);
Status check_attention(const AttentionArgs& args, const CacheShape* cache);
Status check_gather(const TensorView& in, const Buffer& rows, const TensorView& out);
Status check_argmax(const TensorView& logits, const Buffer& ids, const Buffer& values);

}  // namespace weft
