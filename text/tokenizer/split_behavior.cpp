#include "text/tokenizer/split_behavior.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "text/tokenizer/json_fields.h"

namespace weft::text {
namespace {

struct Stretch {
  Range range;
  bool matched = false;
};

std::vector<Stretch> stretches_of(Range range, const std::vector<Range>& matches, bool invert) {
  std::vector<Stretch> stretches;
  std::uint32_t at = range.begin;
  for (const Range& match : matches) {
    if (match.begin > at) stretches.push_back({{at, match.begin}, invert});
    stretches.push_back({match, !invert});
    at = match.end;
  }
  if (at < range.end) stretches.push_back({{at, range.end}, invert});
  return stretches;
}

}  // namespace

Result<SplitBehavior> split_behavior(const std::string& name) {
  for (const auto& [known, behavior] :
       {std::pair("Isolated", SplitBehavior::isolated), std::pair("Removed", SplitBehavior::removed),
        std::pair("MergedWithPrevious", SplitBehavior::merged_with_previous),
        std::pair("MergedWithNext", SplitBehavior::merged_with_next),
        std::pair("Contiguous", SplitBehavior::contiguous)})
    if (name == known) return behavior;
  return fail(ErrorCode::unimplemented, fmt::format("behavior '{}'; expected Isolated, Removed, MergedWithPrevious, "
                                                    "MergedWithNext or Contiguous",
                                                    shorten(name)));
}

void split_at(Range range, const std::vector<Range>& matches, SplitBehavior behavior, bool invert,
              std::vector<Range>& out) {
  if (behavior == SplitBehavior::isolated) {  // the common one, without the detour
    std::uint32_t at = range.begin;
    for (const Range& match : matches) {
      if (match.begin > at) out.push_back({at, match.begin});
      out.push_back(match);
      at = match.end;
    }
    if (at < range.end) out.push_back({at, range.end});
    return;
  }
  const std::size_t first = out.size();
  bool previous_matched = false;
  for (const Stretch& stretch : stretches_of(range, matches, invert)) {
    const bool has_previous = out.size() > first;
    bool join = false;
    switch (behavior) {
      case SplitBehavior::removed:
        if (stretch.matched) continue;
        break;
      case SplitBehavior::contiguous: join = has_previous && stretch.matched == previous_matched; break;
      case SplitBehavior::merged_with_previous: join = has_previous && stretch.matched && !previous_matched; break;
      case SplitBehavior::merged_with_next: join = has_previous && !stretch.matched && previous_matched; break;
      case SplitBehavior::isolated: break;
    }
    previous_matched = stretch.matched;
    if (join)
      out.back().end = stretch.range.end;
    else
      out.push_back(stretch.range);
  }
}

}  // namespace weft::text
