// mustpass/v1.txt: the ids of level must of one version of the suite, one a line; '#' begins a comment.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "tests/conformance/harness/outcome.h"
#include "weft/status.h"

namespace weft::conformance {

struct MustPass {
  std::string version;  // "1", of the file's name v1.txt
  std::vector<std::string> ids;
};

// Whether a plugin may say that it holds a version of the suite: every rule of the list was tried, and none failed. One that
// does not apply to it (SKIP) and one that is waived (XFAIL) do not stand in the way, and are counted.
struct Claim {
  std::string version;
  bool holds = false;
  int rules = 0;
  int passed = 0;
  int skipped = 0;
  int waived = 0;

  std::string text() const;  // "claimed: 98 rules hold, 3 do not apply, 0 waived"
};
Claim claim_of(const MustPass& list, std::size_t listed, std::span<const CaseResult> results);

Result<MustPass> load_mustpass(const std::string& path);

// Those of `cases` that the file lists; invalid_argument where `cases` lacks a listed id of a prefix that it has
// (a line stands for a case for good).
Result<std::vector<const Case*>> listed_cases(const MustPass& list, const std::vector<Case>& cases);

}  // namespace weft::conformance
