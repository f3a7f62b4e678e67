// mustpass/v1.txt: the ids of level must of one version of the suite, one a line; '#' begins a comment. A list is frozen:
// SHA256SUMS beside it holds its digest, and mustpass/README.md says when that may be written anew.
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
  std::string sha256;  // of the file
};

// Whether a plugin may say that it holds a version of the suite: every rule of the list was tried, and none failed. One that
// does not apply to it (SKIP) and one that is waived (XFAIL) do not stand in the way, and are counted.
struct Claim {
  std::string version;
  std::string list_sha256;  // of the list, which says that two claims are of the same rules
  bool holds = false;
  int rules = 0;
  int passed = 0;
  int skipped = 0;
  int waived = 0;

  std::string text() const;  // "claimed: 98 rules hold, 3 do not apply, 0 waived"
};
Claim claim_of(const MustPass& list, std::size_t listed, std::span<const CaseResult> results);

// Refused where SHA256SUMS stands beside the file and has another digest for it, or none: a claim of an edited list would
// be a claim of something else under the same name. Without SHA256SUMS (a list of one's own) nothing is compared.
Result<MustPass> load_mustpass(const std::string& path);

// Those of `cases` that the file lists; invalid_argument where `cases` lacks a listed id of a prefix that it has
// (a line stands for a case for good).
Result<std::vector<const Case*>> listed_cases(const MustPass& list, const std::vector<Case>& cases);

}  // namespace weft::conformance
