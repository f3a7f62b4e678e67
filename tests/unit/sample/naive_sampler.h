// The sampler's definition, written to be read: f64, full sorts, no tricks.
#pragma once

#include <map>
#include <vector>

#include "weft/request.h"

namespace weft::engine {

// What survives, with its probability; tokens of probability 0 are left out.
std::map<TokenId, double> naive_survivors(const std::vector<float>& logits, const SamplingParams& params,
                                          const std::vector<TokenId>& prompt, const std::vector<TokenId>& generated);

}  // namespace weft::engine
