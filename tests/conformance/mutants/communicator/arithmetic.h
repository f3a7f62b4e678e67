// Reductions, element by element.
#pragma once

#include <cstddef>
#include <span>

#include "weft/communicator.h"

namespace mutant {

// out[i] = s0[i] op s1[i] op ..., in rank order; `own` is this rank's position among the sources. `out` may be a source.
void reduce(weft::DType type, weft::ReduceOp op, std::span<const std::byte* const> sources, std::size_t own,
            std::size_t count, std::byte* out);

}  // namespace mutant
