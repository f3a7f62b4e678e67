#include "tests/conformance/mutants/executor/log_tail.h"

#include <algorithm>
#include <fstream>
#include <vector>

#include "tests/conformance/mutants/switch.h"

namespace weft::mutant {

void LogTail::launched(const GangSpec& spec) {
  const std::lock_guard lock(mutex_);
  for (const RankSpec& rank : spec.ranks)
    if (!rank.log_path.empty()) paths_[{spec.gang.id, spec.gang.incarnation, rank.rank}] = rank.log_path;
}

Result<std::string> LogTail::log_tail(const GangId& gang, std::int32_t rank, std::int32_t lines, Deadline) {
  if (lines < 1) return fail(ErrorCode::invalid_argument, "at least one line");
  const std::lock_guard lock(mutex_);
  const auto path = paths_.find({gang.id, gang.incarnation, rank});
  if (path == paths_.end()) {
    if (breaks("any_log")) return std::string();
    return fail(ErrorCode::not_found, "no log of that rank of " + gang.id);
  }
  std::vector<std::string> all;
  std::ifstream file(path->second);
  for (std::string line; std::getline(file, line);)
    all.push_back(line);
  const std::size_t count = std::min(all.size(), static_cast<std::size_t>(lines));
  const std::size_t first = breaks("first_lines") ? 0 : all.size() - count;
  std::string text;
  for (std::size_t i = first; i < first + count; ++i)
    text += (i == first ? "" : "\n") + all[i];
  return text;
}

}  // namespace weft::mutant
