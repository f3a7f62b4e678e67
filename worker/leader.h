// The leader's loop: takes requests from routers, asks the scheduler for a step, tells the followers, runs it, samples,
// and sends one message a step with every request's new tokens.
//
// Threads: run() is the worker's main thread and owns scheduler, sampler and runner. Links deliver into an inbox. A
// settlement runs beside it on a thread of its own, so that followers go on hearing of their leader.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <variant>

#include "core/wire/convert.h"
#include "core/wire/link.h"
#include "engine/sample/sampler.h"
#include "engine/schedule/scheduler.h"
#include "worker/head_link.h"
#include "worker/plan_channel.h"
#include "worker/rank.h"
#include "worker/scores.h"
#include "worker/stop_watch.h"

namespace weft::worker {

class Leader {
 public:
  Leader(Rank& rank, HeadLink& head, const Environment& environment, Progress& progress);
  ~Leader();

  // At first start: the leaders of all replicas compare configuration and weights. The error names the odd one.
  Status compare_replicas(const std::string& weights_hash);
  // Dials every published router and attaches.
  Status attach();
  // Until the head says Stop: ok. Anything else is an error.
  Status run();
  // From the head's link, any thread.
  void deliver(std::optional<wire::Envelope> from_head);

 private:
  // One router's link.
  struct RouterLink final : wire::DialerHandler {
    Leader* leader = nullptr;
    std::size_t index = 0;
    std::unique_ptr<wire::Dialer> dialer;
    void on_message(const wire::Envelope& envelope) override;
    void on_down(const Error& why) override;
  };
  struct FromRouter {
    std::size_t router = 0;
    wire::Envelope envelope;
  };
  struct RouterLost {
    Error why;
  };
  struct FromHead {
    std::optional<wire::Envelope> envelope;  // nullopt: the head is gone
  };
  using Message = std::variant<FromRouter, RouterLost, FromHead>;

  void put(Message message);
  // Takes what is there; with nothing to do it waits for something until the deadline.
  std::deque<Message> take(Time until);
  Status handle(Message& message);
  void submit(std::size_t router, const wire::Submit& submit);
  void settle(const wire::Settle& settle);
  wire::Settled settle_over_group(const wire::Settle& settle, std::int64_t requests, std::int64_t tokens);
  Status step(const engine::StepPlan& plan);
  Result<TokenId> sample(const engine::SequenceStep& sequence, std::span<const float> logits);
  void score(const engine::SequenceStep& sequence, std::int32_t position, std::span<const float> logits);
  void forbid_ends(const engine::SequenceView& view);
  void fail_sequence(RequestId request, const Error& why);
  void send_events();
  void refuse(std::size_t router, RequestId request, const Error& error);
  void send_stats(bool always);
  std::int64_t now_ms() const;

  Rank& rank_;
  HeadLink& head_;
  const Environment& environment_;
  Progress& progress_;
  PlanChannel plans_;
  engine::Sampler sampler_;
  StopWatch stop_watch_;
  Scores scores_;
  std::optional<engine::Scheduler> scheduler_;
  std::unordered_map<RequestId, std::size_t> routers_of_;  // running requests
  std::unordered_map<RequestId, Error> errors_;            // why a request was ended with reason error
  std::vector<float> scratch_;                             // a row of logits, which sampling destroys
  std::vector<std::unique_ptr<RouterLink>> links_;
  bool stopping_ = false;
  bool draining_ = false;

  std::int64_t delivered_requests_ = 0;
  std::int64_t delivered_tokens_ = 0;
  std::uint64_t stats_sequence_ = 0;
  std::int64_t steps_ = 0;
  double step_seconds_ = 0;
  double collective_seconds_ = 0;
  Time stats_sent_{};

  std::mutex mutex_;  // guards inbox_
  std::condition_variable arrived_;
  std::deque<Message> inbox_;
  std::thread settling_;
};

// A follower's loop: receives plans and runs them until the head says Stop (ok) or something breaks.
Status follow(Rank& rank, Progress& progress, const std::atomic<bool>& stop);

}  // namespace weft::worker
