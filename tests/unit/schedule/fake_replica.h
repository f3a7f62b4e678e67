// A replica without a model: it runs StepPlans on a KV cache that remembers which token of which request was
// written where, and its "model" is a hash of all it reads back through the block table. Every rule of a plan
// is checked on the way, so a table that points elsewhere, a wrong position or a lost token fails the test at
// the step where it happens.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "engine/schedule/scheduler.h"

namespace weft::engine {

inline constexpr TokenId fake_vocabulary = 29;

// The model: the token that follows `tokens` in a request, whatever batch or replica it runs in.
TokenId fake_next_token(std::span<const TokenId> tokens);

// The first `count` tokens generated after `prompt`.
std::vector<TokenId> fake_generation(std::vector<TokenId> prompt, int count);

class FakeReplica {
 public:
  explicit FakeReplica(const SchedulerOptions& options);

  // A request that plans may name from now on.
  void expect(const Request& request);

  // Runs the step and returns its samples. Broken rules are appended to `problems`.
  std::vector<TokenId> run(const StepPlan& plan);

  const std::vector<std::string>& problems() const { return problems_; }

  // How many of a request's prompt tokens, from the second on, have been scored, by an earlier replica too. A score out of
  // turn is a problem at its step.
  std::int32_t scored(RequestId request) const { return scored_.at(request); }

 private:
  struct Cell {
    RequestId request = 0;
    std::int32_t position = -1;
    TokenId token = -1;
  };

  void check_table(const SequenceStep& sequence, std::set<BlockId>& taken);
  std::vector<TokenId> inputs(const StepPlan& plan, const SequenceStep& sequence);
  std::vector<TokenId> write_and_read(const SequenceStep& sequence, const std::vector<TokenId>& tokens);
  void check_inputs(const SequenceStep& sequence, const std::vector<TokenId>& context);
  void check_scores(const SequenceStep& sequence);
  void problem(const SequenceStep& sequence, const std::string& what);

  SchedulerOptions options_;
  std::vector<Cell> cache_;
  std::map<RequestId, std::vector<TokenId>> truth_;  // prompt and all that the model generates, grown as needed
  std::map<std::int64_t, std::vector<TokenId>> samples_;
  std::map<RequestId, std::int32_t> scores_wanted_, scored_;
  std::int64_t last_step_ = -1;
  std::vector<std::string> problems_;
};

}  // namespace weft::engine
