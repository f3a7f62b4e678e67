// The last lines of ranks' logs, from files that are on this machine. Everything that was ever launched is remembered.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <tuple>

#include "weft/executor_log_tail.h"

namespace weft::mutant {

class LogTail final : public ExecutorLogTail {
 public:
  void launched(const GangSpec& spec);
  Result<std::string> log_tail(const GangId& gang, std::int32_t rank, std::int32_t lines, Deadline deadline) override;

 private:
  using Key = std::tuple<std::string, std::int64_t, std::int32_t>;
  std::mutex mutex_;  // guards paths_
  std::map<Key, std::string> paths_;
};

}  // namespace weft::mutant
