// What a link costs on one machine's loopback: the round trip of one small StepOutput, and how many go one way in a
// second. A step's message carries `requests` outputs of one token each.
#include <benchmark/benchmark.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>

#include "core/wire/convert.h"
#include "core/wire/link.h"

namespace weft::wire {
namespace {

// Counts what comes, and lets the benchmark wait for it.
class Counter {
 public:
  void add() {
    const std::lock_guard lock(mutex_);
    ++count_;
    if (count_ >= wanted_) reached_.notify_one();
  }
  bool wait(std::int64_t count) {
    std::unique_lock lock(mutex_);
    wanted_ = count;
    return reached_.wait_for(lock, std::chrono::seconds(30), [&] { return count_ >= count; });
  }

 private:
  std::mutex mutex_;  // guards all below
  std::condition_variable reached_;
  std::int64_t count_ = 0;
  std::int64_t wanted_ = 0;
};

class Router : public ListenerHandler {
 public:
  explicit Router(bool echo) : echo_(echo) {}
  void on_bound(Listener& listener) override { listener_ = &listener; }
  Status on_open(const Peer&) override { return {}; }
  void on_message(const Peer& peer, const Envelope& envelope) override {
    arrived.add();
    if (!echo_) return;
    Envelope back;
    *back.mutable_step_output() = envelope.step_output();
    static_cast<void>(listener_->send(peer.link, std::move(back)));
  }
  void on_down(const Peer&, const Error&) override {}

  Counter arrived;

 private:
  const bool echo_;
  Listener* listener_ = nullptr;
};

class Leader : public DialerHandler {
 public:
  void on_message(const Envelope&) override { arrived.add(); }
  void on_down(const Error&) override {}

  Counter arrived;
};

Envelope step_of(std::int64_t requests) {
  Envelope out;
  for (std::int64_t i = 0; i < requests; ++i) {
    add_update({.request = static_cast<RequestId>(i + 1), .tokens = {static_cast<TokenId>(i)}},
               *out.mutable_step_output());
  }
  return out;
}

struct Pair {
  Router router;
  Leader leader;
  std::unique_ptr<Listener> listener;
  std::unique_ptr<Dialer> dialer;

  explicit Pair(bool echo) : router(echo) {
    auto bound = Listener::bind({.name = "router", .token = "bench"}, router);
    if (!bound) return;
    listener = std::move(*bound);
    auto dialed =
        Dialer::dial({.name = "leader", .endpoint = listener->endpoint(), .token = "bench", .role = ROLE_LEADER},
                     leader, Deadline::in(std::chrono::seconds(10)));
    if (dialed) dialer = std::move(*dialed);
  }
};

void round_trip(benchmark::State& state) {
  Pair pair(true);
  if (!pair.dialer) return state.SkipWithError("the link did not open");
  const Envelope step = step_of(state.range(0));
  std::int64_t sent = 0;
  for (auto _ : state) {
    if (!pair.dialer->send(step) || !pair.leader.arrived.wait(++sent)) return state.SkipWithError("the link is down");
  }
}
BENCHMARK(round_trip)->Arg(1)->Arg(32)->Arg(256)->UseRealTime()->Unit(benchmark::kMicrosecond);

void one_way(benchmark::State& state) {
  constexpr std::int64_t batch = 8192;
  Pair pair(false);
  if (!pair.dialer) return state.SkipWithError("the link did not open");
  const Envelope step = step_of(state.range(0));
  std::int64_t sent = 0;
  for (auto _ : state) {
    for (std::int64_t i = 0; i < batch; ++i) {
      if (!pair.dialer->send(step)) return state.SkipWithError("the link is down");
    }
    sent += batch;
    if (!pair.router.arrived.wait(sent)) return state.SkipWithError("the link is down");
  }
  state.SetItemsProcessed(sent);
  state.counters["bytes/message"] = static_cast<double>(step.ByteSizeLong());
}
BENCHMARK(one_way)->Arg(1)->Arg(32)->Arg(256)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace weft::wire

BENCHMARK_MAIN();
