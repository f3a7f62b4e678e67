// The executor's end.
#include <fmt/format.h>
#include <signal.h>

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>

#include "tests/conformance/executor/bench.h"
#include "tests/conformance/executor/gate.h"
#include "tests/conformance/executor/groups.h"

namespace weft::conformance::ex {
namespace {

// Gangs that would not end by themselves: one plain, one that ignores TERM, one stopped.
std::vector<GangSpec> start_stubborn(const Bench& bench) {
  std::vector<GangSpec> specs;
  const std::vector<Words> orders = {{"ping"}, {"ignore", std::to_string(SIGTERM)}, {"raise", std::to_string(SIGSTOP)}};
  for (const Words& order : orders) {
    specs.push_back(bench.gang({fmt::format("g{}", specs.size()), 1}, 2));
    for (Peer* const peer : bench.start(specs.back())) {
      peer->tell(order);
    }
  }
  return specs;
}

void expect_all_told(const Bench& bench, const std::vector<GangSpec>& specs, const char* when) {
  for (const GangSpec& spec : specs) {
    const std::vector<Told> exits = bench.sink().all(spec.gang, Told::What::exit);
    bench.context().expect(exits.size() == spec.ranks.size(),
                           fmt::format("{} {} exits of gang {} are told, expected {}", when, exits.size(), spec.gang.id,
                                       spec.ranks.size()));
  }
  for (Peer* const peer : bench.post().peers())
    peer->expect_gone(when);
}

void close_ends_everything(Context& context) {
  const Bench bench(context);
  const std::vector<GangSpec> specs = start_stubborn(bench);
  context.expect_ok(bench->close(), "close");
  expect_all_told(bench, specs, "when close has returned");
}

void close_is_idempotent(Context& context) {
  {
    const Bench unused(context);
    for (int time = 0; time < 3; ++time)
      context.expect_ok(unused->close(), "close of an executor that nobody used");
  }
  std::filesystem::remove(context.directory() / "post");
  const Bench bench(context);
  const std::vector<GangSpec> specs = {bench.gang({"g", 1}, 2)};
  bench.start(specs[0]);
  context.run_threads(3, [&](int) {
    context.expect_ok(bench->close(), "close in one of three threads");
    // Each of them returns when all is over, not when another is at it.
    context.expect(bench.sink().all(specs[0].gang, Told::What::exit).size() == 2,
                   "close returned before the exits were told");
  });
  context.expect_ok(bench->close(), "close once more");
}

void closed_is_closed(Context& context) {
  const Bench bench(context);
  const GangSpec before = bench.gang({"g", 1}, 1);
  bench.start(before);
  context.expect_ok(bench->close(), "close");
  Recorder& silent = bench.another_sink();
  context.expect_error(bench->launch(bench.exits({"g", 2}, {0}), silent), ErrorCode::failed_precondition,
                       "launch after close");
  context.expect_error(bench->stop(before.gang, at_once), ErrorCode::failed_precondition, "stop after close");
  const Result<Inventory> inventory = bench->inventory(Deadline::in(patience(context)));
  if (!inventory) context.expect_error(inventory, ErrorCode::failed_precondition, "inventory after close");
  context.expect(bench->query("weft.test/nothing") == nullptr, "an unknown interface was found");
  bench.destroy();
  context.expect(silent.heard_nothing(), "a sink was told of a launch after close");
}

void silence_after_close(Context& context) {
  for (int round = 0; round < 3; ++round) {
    std::filesystem::remove(context.directory() / "post");
    const Bench bench(context);
    std::vector<GangSpec> specs;
    for (int index = 0; index < 6; ++index) {  // some are over, some end now, some have not begun
      specs.push_back(bench.exits({fmt::format("g{}", index), 1}, {0, 1, 2}));
      bench.launch(specs.back());
    }
    context.expect_ok(bench->close(), "close");
    bench.conduct().no_more_from_now();
    context.expect(bench.conduct().under_way() == 0, "close returned while a sink's call was under way");
    expect_all_told(bench, specs, "when close has returned");
    bench.destroy();  // joins its threads: what they had to say is said
    context.expect(bench.conduct().late_calls() == 0,
                   fmt::format("{} calls of sinks came after close had returned", bench.conduct().late_calls()));
  }
}

void close_waits_for_the_sink(Context& context) {
  const Bench bench(context);
  Gate gate(context);
  bench.sink().inside = [&](const Told& told) {
    if (told.what == Told::What::exit) gate.hold();
  };
  bench.launch(bench.exits({"g", 1}, {0}));
  gate.wait_held();
  std::mutex mutex;  // guards returned
  std::condition_variable changed;
  bool returned = false;
  context.run_threads(2, [&](int thread) {
    if (thread == 0) {
      context.expect_ok(bench->close(), "close");
      context.expect(bench.conduct().under_way() == 0, "close returned while a sink's call was under way");
      const std::lock_guard lock(mutex);
      returned = true;
      changed.notify_all();
    } else {
      // A close that does not wait has the time to return; nothing tells that one goes on waiting.
      std::unique_lock lock(mutex);
      changed.wait_for(lock, std::chrono::milliseconds(100), [&] { return returned; });
      lock.unlock();
      gate.open();
    }
  });
}

// What sinks were told, and that close is over, for threads that go on with either. These waits end with the case and no sooner:
// how long a few gangs take says something of the machine and nothing of the rule.
class Progress {
 public:
  explicit Progress(const Context& context) : context_(context) {}

  void add(const Told& told) {
    const std::lock_guard lock(mutex_);
    ++calls_;
    if (told.what == Told::What::exit) ++exits_[told.gang.id];
    changed_.notify_all();
  }
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }
  bool closed() const {
    const std::lock_guard lock(mutex_);
    return closed_;
  }
  void wait_calls(int calls) {
    wait([&] { return calls_ >= calls; }, "the sink is not called any more");
  }
  // Or until close is over.
  void wait_exits(const std::string& gang, int exits) {
    wait([&] { return closed_ || exits_[gang] >= exits; }, "exits of a gang that was launched are not told");
  }

 private:
  void wait(const std::function<bool()>& ready, const char* otherwise) {
    std::unique_lock lock(mutex_);
    context_.wait_until(lock, changed_, ready, Duration::max(), otherwise);
  }

  const Context& context_;
  mutable std::mutex mutex_;  // guards calls_, exits_, closed_
  std::condition_variable changed_;
  int calls_ = 0;
  std::map<std::string, int> exits_;
  bool closed_ = false;
};

// Each thread has two gangs under way at most, so that close finds a few and not hundreds.
void launches_while_it_closes(Context& context) {
  const Bench bench(context);
  Progress progress(context);
  bench.sink().inside = [&](const Told& told) { progress.add(told); };
  constexpr int threads = 4;
  std::vector<std::vector<GangSpec>> launched(threads);
  context.run_threads(threads + 1, [&](int thread) {
    if (thread == threads) {
      progress.wait_calls(10);
      const Status status = bench->close();
      progress.close();
      return context.expect_ok(status, "close");
    }
    for (int index = 0;; ++index) {
      GangSpec spec = bench.exits({fmt::format("g{}-{}", thread, index), 1}, {0, 0});
      const bool late = progress.closed();
      const Status status = bench->launch(spec, bench.sink());
      context.expect(!status || !late, "a launch after close succeeded");
      if (!status) return context.expect_error(status, ErrorCode::failed_precondition, "launch while it closes");
      launched[static_cast<std::size_t>(thread)].push_back(std::move(spec));
      if (index > 0) progress.wait_exits(fmt::format("g{}-{}", thread, index - 1), 2);
    }
  });
  for (const std::vector<GangSpec>& specs : launched)
    expect_all_told(bench, specs, "when close has returned");
}

void destruction_closes(Context& context) {
  const Bench bench(context);
  const std::vector<GangSpec> specs = start_stubborn(bench);
  bench.launch(bench.gang({"just launched", 1}, 2));
  bench.destroy();
  bench.conduct().no_more_from_now();
  expect_all_told(bench, specs, "when the executor is destroyed");
  expect_none_left(context, "of a destroyed executor");
  context.expect(bench.conduct().late_calls() == 0, "a sink was called after the executor's end");
}

const Case close_rules[] = {
    {"EX-82", Level::must, "", "1",
     "close kills every gang, also what ignores TERM or is stopped, and returns when each exit is told",
     "After it the head may go.", close_ends_everything},
    {"EX-83", Level::must, "", "1", "close is idempotent, from several threads too, each returning when all is over",
     "Several ends of a run come at once.", close_is_idempotent},
    {"EX-84", Level::must, "", "1", "after close launch and stop are failed_precondition, inventory too or as before",
     "A late thread gets an error, not a crash.", closed_is_closed},
    {"EX-85", Level::must, "", "1", "when close has returned no sink's call is under way or will come",
     "The sink may go before the executor does.", silence_after_close},
    {"EX-86", Level::must, "", "1", "close waits for a sink's call that is under way",
     "The sink may go as soon as it returns.", close_waits_for_the_sink},
    {"EX-87", Level::must, "", "1",
     "a launch while another thread closes is failed_precondition, or has all its exits told when close returns",
     "A run may be interrupted while it starts.", launches_while_it_closes, std::chrono::seconds(60)},
    {"EX-88", Level::must, "", "1", "destroying an executor with gangs alive closes it",
     "A head that ends in a hurry leaves nothing.", destruction_closes},
};

}  // namespace

std::span<const Case> close_cases() { return close_rules; }

}  // namespace weft::conformance::ex
