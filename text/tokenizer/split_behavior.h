// What becomes of the text that a pattern matches: the five behaviours of Hugging Face's Split.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/scanner.h"
#include "weft/status.h"

namespace weft::text {

enum class SplitBehavior { isolated, removed, merged_with_previous, merged_with_next, contiguous };

Result<SplitBehavior> split_behavior(const std::string& name);

// Cuts `range` at `matches` (in order, disjoint, within it) and appends the pieces; `invert` takes what lies
// between the matches for the matches.
void split_at(Range range, const std::vector<Range>& matches, SplitBehavior behavior, bool invert,
              std::vector<Range>& out);

}  // namespace weft::text
