// Broken rules: what an executor does that wants to report how its process ended.
#pragma once

namespace weft::mutant {

// At the first launch of this process.
void prepare_reports();
// A rank has begun or ended.
void count_ranks(int more);

}  // namespace weft::mutant
