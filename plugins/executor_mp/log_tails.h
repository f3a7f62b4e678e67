// Where the logs of gangs lie, and what their ranks wrote last. Any thread.
#pragma once

#include <deque>
#include <map>
#include <mutex>
#include <string>

#include "weft/executor.h"
#include "weft/executor_log_tail.h"

namespace weft::mp {

class LogTails final : public ExecutorLogTail {
 public:
  // Of the executor's calls; a gang that is launched again is a new one.
  void launched(const GangSpec& spec);
  void ended(const GangId& gang);

  Result<std::string> log_tail(const GangId& gang, std::int32_t rank, std::int32_t lines, Deadline deadline) override;

 private:
  struct Gang {
    std::int64_t incarnation = 0;
    std::map<std::int32_t, std::string> paths;  // by rank; empty: its output is discarded
  };
  Result<std::string> path_of(const GangId& gang, std::int32_t rank);

  std::mutex mutex_;  // guards all below
  std::map<std::string, Gang> gangs_;
  std::deque<GangId> ended_;  // the latest last; some of them may have been launched again
};

}  // namespace weft::mp
