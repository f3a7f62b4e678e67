// The number of a token in a model's vocabulary; never negative where it is valid.
#pragma once

#include <cstdint>

namespace weft {

using TokenId = std::int32_t;

}  // namespace weft
