// The float half of reduce.h, in vectors chosen at run time (Highway).
#pragma once

#include <cstddef>
#include <span>

#include "weft/communicator.h"
#include "weft/dtype.h"

namespace weft::plugins {

// As reduce_in_rank_order, for f32, f16 and bf16.
void reduce_floats(DType type, ReduceOp op, std::span<const std::byte* const> sources, std::size_t count,
                   std::byte* destination) noexcept;

}  // namespace weft::plugins
