// What this machine gives, measured: the limits that the kernels' figures stand beside.
#pragma once

#include <cstddef>

namespace weft {

// Bytes a second that `threads` together read from `bytes` of memory, read again and again: of the cache they fit in.
double read_bandwidth(std::size_t bytes, int threads);
// Floating-point operations a second of multiply-adds in registers, f32, the widest vectors.
double arithmetic_limit(int threads);

}  // namespace weft
