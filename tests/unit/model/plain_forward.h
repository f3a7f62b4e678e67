// A decoder in double precision and plain loops, one sequence at a time, without cache, batch or shards: what the engine's
// forward pass is compared with. Shares the engine's reading of files and nothing of its arithmetic.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "weft/request.h"

namespace weft::test {

// [positions][vocabulary] of the model in `directory`, which must load.
std::vector<std::vector<double>> plain_logits(const std::string& directory, std::span<const TokenId> ids);

}  // namespace weft::test
