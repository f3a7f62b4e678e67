// Few rows that try every pair of values: the product of seven types, sizes, offsets, ... is thousands of calls, and
// most mistakes need two particular values to show.
#pragma once

#include <cstddef>
#include <vector>

namespace weft::conformance {

using Row = std::vector<std::size_t>;  // one value's index for each factor

// Factor f has levels[f] values, at least one. For every two factors every pair of their values stands in some row. The same rows
// for the same levels, always. Greedy, in the manner of AETG (Cohen et al. 1997): not the fewest, near it.
std::vector<Row> pairwise(const std::vector<std::size_t>& levels);
// Every combination.
std::vector<Row> product(const std::vector<std::size_t>& levels);

}  // namespace weft::conformance
