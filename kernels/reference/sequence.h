// Operations that know of positions and of the paged cache, for checked arguments. Shapes are device.h's.
#pragma once

#include "kernels/reference/storage.h"

namespace weft {

// Null: none.
struct RopeTables {
  const ReferenceWeight* table = nullptr;
  const ReferenceWeight* query_norm = nullptr;
  const ReferenceWeight* key_norm = nullptr;
};
void reference_rope_and_append(const RopeArgs& args, const RopeTables& tables, ReferenceKvCache& cache);
void reference_attention(const AttentionArgs& args, const ReferenceKvCache& cache);

}  // namespace weft
