// 10,000 random histories of a small scheduler: whatever comes and goes, in whatever order, each request gets exactly
// the tokens that it would get alone and each score of its prompt once, ends exactly once, for the right reason, and leaves
// no block behind.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <random>

#include "engine/schedule/scheduler.h"
#include "tests/unit/schedule/fake_replica.h"

namespace weft::engine {
namespace {

struct Outcome {
  Request request;
  std::vector<TokenId> tokens = {};
  FinishReason finish = FinishReason::none;
  std::optional<FinishReason> asked = {};  // cancel() or finish() took it
  std::int64_t deadline_ms = Sequence::no_deadline;
};

class History {
 public:
  explicit History(std::uint32_t seed)
      : random_(seed), options_(random_options()), scheduler_(Scheduler::create(options_).value()), replica_(options_) {
    most_in_flight_ = static_cast<std::size_t>(between(1, 3));
  }

  void run() {
    const int turns = between(5, 60);
    for (int turn = 0; turn < turns && ok(); ++turn) {
      now_ms_ += between(0, 3);
      if (between(0, 3) == 0) add();
      if (between(0, 15) == 0) interrupt();
      plan();
      if (between(0, 2) > 0) commit();
      take();
    }
    for (int turn = 0; !scheduler_.idle() && ok(); ++turn) {
      ASSERT_LT(turn, 5000) << "it does not come to an end";
      plan();
      commit();
      take();
    }
    if (ok()) check_end();
  }

  std::int64_t preemptions() const { return scheduler_.stats().preemptions; }

 private:
  bool ok() const { return !testing::Test::HasFailure(); }
  int between(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

  SchedulerOptions random_options() {
    return {.max_batch_tokens = between(1, 24),
            .max_requests = between(1, 6),
            .block_size = between(1, 5),
            .blocks = between(1, 14),
            .max_context = between(2, 40),
            .vocabulary = fake_vocabulary,
            .end_ids = {0}};
  }

  void add() {
    take();
    Request request;
    request.id = between(0, 30) == 0 ? next_id_ : ++next_id_;  // now and then one that was used before
    for (int i = between(0, std::min(options_.max_context + 1, 25)); i > 0; --i)
      request.prompt.push_back(between(1, fake_vocabulary - 1));
    request.stop.max_tokens = between(0, 24);
    request.stop.ignore_eos = between(0, 1) == 0;
    if (between(0, 3) == 0) request.stop.stop_token_ids = {between(0, fake_vocabulary - 1)};
    if (between(0, 4) == 0) request.deadline_ms = between(1, 60);
    request.priority = between(0, 5) == 0 ? between(-1, 1) : 0;
    if (between(0, 3) == 0) {
      request.logprobs.prompt = 0;
      if (between(0, 4) == 0) request.stop.max_tokens = 0;
      if (between(0, 3) == 0 && !request.prompt.empty())
        request.prompt_scored = between(0, static_cast<int>(request.prompt.size()) - 1);
    }
    if (between(0, 4) == 0) {
      request.emitted = alone(request).tokens;
      request.emitted.resize(std::min(request.emitted.size(), static_cast<std::size_t>(between(0, 5))));
    }
    const bool here = scheduler_.find(request.id).has_value();
    const Status status = scheduler_.add(request, now_ms_);
    if (here) {
      EXPECT_FALSE(status);
    }
    if (!status) return;
    Outcome& outcome = outcomes_[request.id];
    if (outcome.finish != FinishReason::none) check(outcome);
    outcome = Outcome{};
    outcome.request = request;
    if (request.deadline_ms > 0) outcome.deadline_ms = now_ms_ + request.deadline_ms;
    replica_.expect(request);
  }

  void interrupt() {
    if (outcomes_.empty()) return;
    auto at = outcomes_.begin();
    std::advance(at, between(0, static_cast<int>(outcomes_.size()) - 1));
    const FinishReason reason = between(0, 1) == 0 ? FinishReason::cancelled : FinishReason::stop;
    const bool lives = scheduler_.find(at->first).has_value();
    EXPECT_EQ(scheduler_.finish(at->first, reason), lives);
    if (lives) at->second.asked = reason;
  }

  void plan() {
    if (in_flight_.size() >= most_in_flight_) return;
    StepPlan plan = scheduler_.plan(now_ms_);
    sampled_.push_back(replica_.run(plan));
    in_flight_.push_back(std::move(plan));
    for (const std::string& problem : replica_.problems())
      ADD_FAILURE() << problem;
    const SchedulerStats stats = scheduler_.stats();
    EXPECT_LE(stats.running, std::min(options_.max_requests, options_.max_batch_tokens));
    EXPECT_GE(stats.pending_prefill_tokens, 0);
    if (stats.running == 0) {
      EXPECT_EQ(stats.free_blocks, options_.blocks) << "a block leaked";
    }
  }

  void commit() {
    if (in_flight_.empty()) return;
    const Status status = scheduler_.commit(in_flight_.front(), sampled_.front());
    if (!status) ADD_FAILURE() << to_string(status.error());
    in_flight_.pop_front();
    sampled_.pop_front();
  }

  void take() {
    for (const SequenceEvent& event : scheduler_.take_events()) {
      const auto found = outcomes_.find(event.request);
      ASSERT_NE(found, outcomes_.end());
      Outcome& outcome = found->second;
      EXPECT_EQ(outcome.finish, FinishReason::none) << "request " << event.request << " goes on after its end";
      EXPECT_TRUE(event.token || event.finish != FinishReason::none) << "an event that says nothing";
      if (event.token) outcome.tokens.push_back(*event.token);
      outcome.finish = event.finish;
    }
  }

  // All that a request generates when nothing comes in its way, and why it ends.
  Outcome alone(const Request& request) const {
    Outcome outcome;
    const int room = options_.max_context - static_cast<int>(request.prompt.size());
    outcome.tokens = fake_generation(request.prompt, std::min(request.stop.max_tokens, room));
    outcome.finish = FinishReason::length;
    const auto& own = request.stop.stop_token_ids;
    const auto end = std::find_if(outcome.tokens.begin(), outcome.tokens.end(), [&](TokenId id) {
      return (id == 0 && !request.stop.ignore_eos) || std::find(own.begin(), own.end(), id) != own.end();
    });
    if (end != outcome.tokens.end()) {
      outcome.tokens.erase(end + 1, outcome.tokens.end());
      outcome.finish = FinishReason::stop;
    }
    return outcome;
  }

  // What was delivered is what the request alone would get, up to its end, and the end has its reason.
  void check(const Outcome& outcome) const {
    const Outcome expected = alone(outcome.request);
    std::vector<TokenId> all = outcome.request.emitted;
    all.insert(all.end(), outcome.tokens.begin(), outcome.tokens.end());
    ASSERT_LE(all.size(), expected.tokens.size());
    EXPECT_TRUE(std::equal(all.begin(), all.end(), expected.tokens.begin())) << "request " << outcome.request.id;
    if (outcome.asked) {
      EXPECT_EQ(outcome.finish, *outcome.asked);
    } else if (outcome.finish == FinishReason::deadline) {
      EXPECT_GE(now_ms_, outcome.deadline_ms);
    } else {
      EXPECT_EQ(outcome.finish, expected.finish);
      EXPECT_EQ(all.size(), expected.tokens.size()) << "request " << outcome.request.id;
      if (outcome.request.logprobs.prompt && outcome.request.emitted.empty()) {
        EXPECT_EQ(replica_.scored(outcome.request.id), static_cast<std::int32_t>(outcome.request.prompt.size()) - 1)
            << "request " << outcome.request.id << " has a prompt that is not scored to its end";
      }
    }
  }

  void check_end() {
    for (const auto& [id, outcome] : outcomes_) {
      EXPECT_NE(outcome.finish, FinishReason::none) << "request " << id << " never ended";
      check(outcome);
    }
    const SchedulerStats stats = scheduler_.stats();
    EXPECT_EQ(stats.free_blocks, options_.blocks) << "a block leaked";
    EXPECT_EQ(stats.waiting + stats.running, 0);
    EXPECT_EQ(stats.pending_prefill_tokens, 0);
  }

  std::mt19937 random_;
  SchedulerOptions options_;
  Scheduler scheduler_;
  FakeReplica replica_;
  std::size_t most_in_flight_ = 1;
  std::int64_t now_ms_ = 0;
  RequestId next_id_ = 0;
  std::map<RequestId, Outcome> outcomes_;
  std::deque<StepPlan> in_flight_;
  std::deque<std::vector<TokenId>> sampled_;
};

TEST(SchedulerProperty, TenThousandRandomHistoriesLoseNothing) {
  std::int64_t preemptions = 0;
  for (std::uint32_t seed = 1; seed <= 10000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    History history(seed);
    history.run();
    if (HasFailure()) return;
    preemptions += history.preemptions();
  }
  EXPECT_GT(preemptions, 1000) << "the histories no longer reach preemption";
}

}  // namespace
}  // namespace weft::engine
