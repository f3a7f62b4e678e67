// The nucleus of top-p sampling (Holtzman et al., "The Curious Case of Neural Text Degeneration", ICLR 2020).
#pragma once

#include <span>
#include <vector>

#include "weft/request.h"

namespace weft::engine {

// Leaves the shortest run of candidates, by falling weight and rising id, whose weights sum to at least top_p of all;
// `weights` (0 to 1) and `ids` (ascending; empty: the index is the id) shrink to it, in ascending id, and
// `ids` is filled. 0 < top_p < 1. Linear time, but for many
// candidates of nearly one weight.
void keep_nucleus(std::vector<TokenId>& ids, std::vector<double>& weights, double top_p);

}  // namespace weft::engine
