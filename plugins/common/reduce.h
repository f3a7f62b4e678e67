// Element-wise reduction of one block from every rank, in rank order.
#pragma once

#include <cstddef>
#include <span>

#include "weft/communicator.h"
#include "weft/dtype.h"

namespace weft::plugins {

// destination[i] = ((s0[i] op s1[i]) op s2[i]) ..., `count` elements of `type`. f16 and bf16 go through f32
// and are rounded once; integers wrap. `destination` may be one of the sources. The same code runs on every
// rank, so the bits are the same, those of NaNs too. Sources need the alignment of the element only. Any
// thread.
void reduce_in_rank_order(DType type, ReduceOp op, std::span<const std::byte* const> sources, std::size_t count,
                          std::byte* destination) noexcept;

}  // namespace weft::plugins
