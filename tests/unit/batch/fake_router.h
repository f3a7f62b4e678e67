// A router without replicas: it answers by itself, in random order, on a thread of its own.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "core/routing/router.h"

namespace weft::test {

struct FakeAnswer {
  std::vector<TokenId> tokens;
  Outcome outcome;                           // replica and generated are filled in
  std::vector<TokenLogprobs> logprobs = {};  // one a token, or none
  std::vector<TokenLogprobs> prompt_logprobs = {};
};

struct FakeRouterOptions {
  std::int32_t replicas = 2;
  std::int32_t capacity = 4;  // of each
  std::uint32_t seed = 1;
  // Default: the prompt's first id, as often as max_tokens says but at most 3 times, finish reason length.
  std::function<FakeAnswer(const Request&)> answer;
  // On the router's thread, after the n-th request has ended; may call the router and the run.
  std::function<void(std::int64_t ended)> after;
  bool held = false;  // true: nothing ends but what is cancelled or lost
};

class FakeRouter final : public Router {
 public:
  FakeRouter(RouterEvents& events, FakeRouterOptions options);
  ~FakeRouter() override;

  RequestId next_id() noexcept override;
  Result<ReplicaId> submit(Request request, std::optional<ReplicaId> replica) override;
  Status cancel(RequestId request) override;
  std::int32_t room(std::optional<ReplicaId> replica) const override;
  void set_ready(ReplicaId replica, std::int64_t incarnation) override;
  void set_draining(ReplicaId replica) override;
  void set_down(ReplicaId replica, std::int64_t incarnation, const Error& why) override;
  LedgerTotals totals() const override;
  std::map<ReplicaId, LeaderStats> stats() const override;

  struct Submission {
    std::vector<TokenId> prompt;
    std::int32_t max_tokens = 0;
    ReplicaId replica = -1;
    std::int32_t choice = 0;
    std::uint64_t seed = 0;
  };
  std::vector<Submission> submissions() const;
  std::size_t under_way() const;
  // Blocks until `count` requests have been submitted and not ended; false at the deadline.
  bool wait_for_under_way(std::size_t count, Duration patience) const;
  void release();  // ends `held`
  void refuse_next_submission(Error error);

 private:
  struct Running {
    Request request;
    ReplicaId replica = -1;
    std::optional<FakeAnswer> forced;  // cancelled or lost: ends next
  };
  void work();
  std::optional<RequestId> choose();  // under the mutex

  RouterEvents& events_;
  const FakeRouterOptions options_;
  mutable std::mutex mutex_;  // guards all below
  mutable std::condition_variable changed_;
  std::mt19937 random_;
  bool stop_ = false;
  bool held_ = false;
  bool room_news_ = true;
  std::optional<Error> refusal_;
  RequestId last_id_ = 0;
  std::map<RequestId, Running> running_;
  std::map<ReplicaId, bool> down_;
  std::vector<Submission> submissions_;
  LedgerTotals totals_;
  std::thread thread_;
};

}  // namespace weft::test
