// The requests that replicas work on, choice by choice, and what becomes of them: counted, and written where they are done.
// A request counts once, whatever its `n`: it is answered once all its choices are, and fails or is left with the first
// that does; the others are then cancelled. One thread.
#pragma once

#include <cstdint>
#include <functional>
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
  // `cancel` is called for choices that nobody waits for any more.
  InFlight(const BatchOptions& options, const BatchTools& tools, ResultsFile& results, BatchSummary& summary,
           std::function<void(RequestId)> cancel)
      : options_(options), tools_(tools), results_(results), summary_(summary), cancel_(std::move(cancel)) {}

  // The choice that `pending.request` names was submitted; choices come in order.
  void enter(const Pending& pending, ReplicaId replica);
  // Whether a choice before this one has failed, so that this and those after it need not be submitted.
  bool gave_up(const Pending& pending);
  void add_tokens(RequestId id, std::span<const TokenId> tokens);
  void add_logprobs(RequestId id, std::vector<TokenLogprobs> prompt, std::vector<TokenLogprobs> generated);
  // Writes the answer or the permanent error; counts a transient one as left. An error: the output cannot be written.
  Status finish(RequestId id, const Outcome& outcome);
  // The permanent error of a line that went to no replica.
  Status fail_line(const FailedLine& line);

  bool empty() const noexcept { return running_.empty(); }
  std::vector<RequestId> ids() const;
  std::int64_t lines() const;  // requests with a choice under way, and no failed one
  ProgressView view(double seconds) const;

 private:
  struct Running {  // one choice
    std::int64_t line = 0;
    std::int32_t choice = 0;
    ReplicaId replica = -1;
  };
  struct Line {
    std::string custom_id;
    ApiRequest api;
    std::vector<TokenId> prompt;
    std::vector<ChoiceAnswer> choices;
    std::int32_t submitted = 0;
    std::int32_t under_way = 0;
    std::int32_t answered = 0;
    bool failed = false;  // told or counted
  };
  ChoiceAnswer* find(RequestId id);
  Status end_choice(const Running& running, Line& line, const Outcome& outcome);
  bool is_whole(const Line& line, const ChoiceAnswer& choice) const;
  Status write_answer(std::int64_t number, Line& line);
  void give_up(std::int64_t number, Line& line);
  void erase_if_done(std::int64_t number);

  const BatchOptions& options_;
  const BatchTools& tools_;
  ResultsFile& results_;
  BatchSummary& summary_;
  const std::function<void(RequestId)> cancel_;
  std::unordered_map<RequestId, Running> running_;
  std::unordered_map<std::int64_t, Line> lines_;  // by number
  std::map<ReplicaId, ProgressView::Replica> replicas_;
  std::int64_t received_tokens_ = 0;
};

}  // namespace weft::frontend
