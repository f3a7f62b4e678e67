// mustpass/v1.txt: the ids of level must of one version of the suite, one a line; '#' begins a comment.
#pragma once

#include <string>
#include <vector>

#include "tests/conformance/harness/outcome.h"
#include "weft/status.h"

namespace weft::conformance {

struct MustPass {
  std::string version;  // "1", of the file's name v1.txt
  std::vector<std::string> ids;
};

Result<MustPass> load_mustpass(const std::string& path);

// Those of `cases` that the file lists; invalid_argument where `cases` lacks a listed id of a prefix that it has
// (a line stands for a case for good).
Result<std::vector<const Case*>> listed_cases(const MustPass& list, const std::vector<Case>& cases);

}  // namespace weft::conformance
