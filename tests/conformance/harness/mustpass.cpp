#include "tests/conformance/harness/mustpass.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

namespace weft::conformance {

std::string Claim::text() const {
  if (holds) return fmt::format("claimed: {} rules hold, {} do not apply, {} waived", passed, skipped, waived);
  return fmt::format("not claimed: of {} rules {} hold, {} do not apply, {} waived", rules, passed, skipped, waived);
}

Claim claim_of(const MustPass& list, std::size_t listed, std::span<const CaseResult> results) {
  Claim claim{.version = list.version, .rules = static_cast<int>(listed)};
  for (const CaseResult& one : results) {
    claim.passed += one.outcome == Outcome::pass ? 1 : 0;
    claim.skipped += one.outcome == Outcome::skip ? 1 : 0;
    claim.waived += one.outcome == Outcome::xfail ? 1 : 0;
  }
  claim.holds = claim.passed > 0 && claim.passed + claim.skipped + claim.waived == claim.rules;
  return claim;
}

Result<MustPass> load_mustpass(const std::string& path) {
  std::ifstream file(path);
  const std::string name = std::filesystem::path(path).stem().string();
  if (!file) return fail(ErrorCode::not_found, path + ": cannot be read, expected a list as mustpass/v1.txt");
  if (name.size() < 2 || name.front() != 'v')
    return fail(ErrorCode::invalid_argument, path + ": the file's name says the version, as v1.txt");
  MustPass list{.version = name.substr(1), .ids = {}};
  for (std::string line; std::getline(file, line);) {
    line = line.substr(0, line.find('#'));
    line.erase(line.find_last_not_of(" \t\r") + 1);
    if (!line.empty()) list.ids.push_back(line);
  }
  return list;
}

Result<std::vector<const Case*>> listed_cases(const MustPass& list, const std::vector<Case>& cases) {
  std::set<std::string> prefixes;
  for (const Case& one : cases)
    prefixes.insert(std::string(one.id).substr(0, 3));
  std::vector<const Case*> chosen;
  for (const std::string& id : list.ids) {
    if (!prefixes.contains(id.substr(0, 3))) continue;
    const auto found = std::find_if(cases.begin(), cases.end(), [&](const Case& one) { return id == one.id; });
    if (found == cases.end())
      return fail(ErrorCode::invalid_argument, fmt::format("the list names {}, which this suite does not have", id));
    chosen.push_back(&*found);
  }
  return chosen;
}

}  // namespace weft::conformance
