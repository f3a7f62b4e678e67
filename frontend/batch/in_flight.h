// The requests that replicas work on, and what becomes of them: counted, and written where they are done. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "frontend/batch/batch_run.h"
#include "frontend/batch/feeder.h"
#include "frontend/batch/lane.h"
#include "frontend/batch/progress.h"
#include "frontend/batch/results_file.h"

namespace weft::frontend {

class InFlight {
 public:
  InFlight(const BatchOptions& options, const BatchTools& tools, ResultsFile& results, BatchSummary& summary)
      : options_(options), tools_(tools), results_(results), summary_(summary) {}

  void enter(RequestId id, ReplicaId replica, Pending pending);
  void add_tokens(RequestId id, std::span<const TokenId> tokens);
  // Writes the answer or the permanent error; counts a transient one as left. An error: the output cannot be written.
  Status finish(RequestId id, const Outcome& outcome);
  // The permanent error of a line that went to no replica.
  Status fail_line(const FailedLine& line);

  bool empty() const noexcept { return running_.empty(); }
  std::vector<RequestId> ids() const;
  ProgressView view(double seconds) const;

 private:
  struct Running {
    std::int64_t line = 0;
    std::string custom_id;
    ApiRequest api;
    std::int64_t prompt_tokens = 0;
    std::vector<TokenId> tokens;
    ReplicaId replica = -1;
  };
  Status write_answer(const Running& running, const Outcome& outcome);

  const BatchOptions& options_;
  const BatchTools& tools_;
  ResultsFile& results_;
  BatchSummary& summary_;
  std::unordered_map<RequestId, Running> running_;
  std::map<ReplicaId, ProgressView::Replica> replicas_;
  std::int64_t received_tokens_ = 0;
};

}  // namespace weft::frontend
