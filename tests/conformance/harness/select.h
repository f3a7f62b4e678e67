// Which cases run, and which are skipped because what they ask for is not there.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tests/conformance/harness/case.h"
#include "tests/conformance/harness/profile.h"
#include "weft/status.h"

namespace weft::conformance {

struct Wanted {
  Level level = Level::must;
  // By commas: an id ("EX-07", whatever its level), a glob over ids ("EX-*"), or words of titles. Empty: all.
  std::string filter;
};

// In the table's order. invalid_argument where a part of the filter matches nothing.
Result<std::vector<const Case*>> select_cases(const std::vector<Case>& cases, const Wanted& wanted);

// Why a case cannot run here; empty: it can. Words of `needs`: cap:WORD (the plugin declares it), fixture:NAME (the profile has
// it), fixture:NAME=N (with at least N values).
std::string unmet_need(const Case& tested, const std::vector<std::string>& capabilities, const Profile& profile);

// "2027-01-31" by the system's clock, UTC.
std::string today();
// The waiver that counts for a case: not from its `expires` on.
const Waiver* waiver_for(const Profile& profile, std::string_view id, const std::string& day);

}  // namespace weft::conformance
