// How the sink is called, and what may be called meanwhile.
#include <fmt/format.h>
#include <signal.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>

#include "tests/conformance/executor/bench.h"
#include "tests/conformance/executor/gate.h"
#include "tests/conformance/executor/groups.h"
#include "weft/executor_log_tail.h"

namespace weft::conformance::ex {
namespace {

// Gangs that start and end in every way, in several sinks at once; all exits are told.
void run_all_ways(const Bench& bench) {
  std::vector<GangSpec> specs;
  std::vector<Recorder*> sinks;
  for (int index = 0; index < 6; ++index) {
    const GangId id{fmt::format("way-{}", index), 1};
    specs.push_back(index % 3 == 0 ? bench.gang(id, 2) : bench.exits(id, {0, 1, 2}));
    if (index % 3 == 2) specs.back().ranks[1].argv[0] = "/no/such/program";
    sinks.push_back(&bench.another_sink());
    bench.launch(specs.back(), *sinks.back());
  }
  for (std::size_t index = 0; index < specs.size(); index += 3) {
    sinks[index]->wait_placed(specs[index].gang);
    bench.context().expect_ok(bench->stop(specs[index].gang, at_once), "stop");
  }
  for (std::size_t index = 0; index < specs.size(); ++index)
    sinks[index]->wait_exits(specs[index].gang, specs[index].ranks.size());
}

void one_thread_calls(Context& context) {
  const Bench bench(context);
  run_all_ways(bench);
  bench.launch(bench.gang({"closed", 1}, 2));
  context.expect_ok(bench->close(), "close");
  context.expect(bench.conduct().threads() == 1,
                 fmt::format("the sinks were called by {} threads", bench.conduct().threads()));
  context.expect(!bench.conduct().called_by(std::this_thread::get_id()),
                 "a sink was called by the thread that called launch, stop or close");
}

// Until `seen`, or for so long: an executor that does not wait has the time to call; nothing tells that one goes on waiting.
void watch_for(Duration time, const std::function<bool()>& seen) {
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  for (const Deadline deadline = Deadline::in(time); !deadline.passed() && !seen();)
    never.wait_for(lock, std::chrono::milliseconds(5));
}

void one_call_at_a_time(Context& context) {
  const Bench bench(context);
  Gate gate(context);
  Recorder& held = bench.another_sink();
  held.inside = [&](const Told& told) {
    if (told.what == Told::What::exit) gate.hold();
  };
  bench.launch(bench.exits({"held", 1}, {0}), held);
  gate.wait_held();
  // While this call is under way there is much to tell.
  const GangSpec other = bench.gang({"other", 1}, 2);
  bench.launch(other);
  bench.launch(bench.exits({"third", 1}, {0, 1}));
  // Ranks that run are something to tell. An executor may start none meanwhile: then all of this time passes.
  watch_for(patience(context) / 4, [&] { return bench.conduct().overlapped() || bench.post().peers().size() == 2; });
  context.expect_ok(bench->stop(other.gang, at_once), "stop");
  watch_for(std::chrono::milliseconds(300), [&] { return bench.conduct().overlapped(); });
  gate.open();
  bench.sink().wait_exits({"third", 1}, 2);
  bench.sink().wait_exits(other.gang, 2);
  run_all_ways(bench);
  context.expect(!bench.conduct().overlapped(), "a sink was called while another call was under way");
}

void calls_return_meanwhile(Context& context) {
  const Bench bench(context);
  const GangSpec living = bench.gang({"living", 1}, 1);
  bench.start(living)[0]->order({"ignore", std::to_string(SIGTERM)});  // two threads stop it
  Gate gate(context);
  Recorder& held = bench.another_sink();
  held.inside = [&](const Told& told) {
    if (told.what == Told::What::exit) gate.hold();
  };
  bench.launch(bench.exits({"held", 1}, {0}), held);
  gate.wait_held();
  context.run_threads(2, [&](int thread) {
    bench.nodes();
    bench.launch(bench.exits({fmt::format("new-{}", thread), 1}, {0, 0}));
    context.expect_ok(bench->stop(living.gang, an_hour), "stop");
    context.expect(bench->query("weft.test/nothing") == nullptr, "an unknown interface was found");
  });
  gate.open();
  bench.sink().wait_exits({"new-0", 1}, 2);
  bench.sink().wait_exits({"new-1", 1}, 2);
  // What the held call had to say.
  held.wait([](const std::vector<Told>& told) { return told.size() >= 2; }, "the held call was not told");
}

// Everything that a sink may call.
void call_everything(const Bench& bench, const GangId& next, std::atomic<int>& calls) {
  const Context& context = bench.context();
  bench.nodes();
  context.expect(bench->query("weft.test/nothing") == nullptr, "an unknown interface was found");
  bench.launch(bench.gang(next, 2));
  context.expect_error(bench->launch(bench.gang(next, 2), bench.sink()), ErrorCode::already_exists, "launch again");
  context.expect_ok(bench->stop(next, at_once), "stop of what was just launched");
  context.expect_error(bench->stop({"nobody", 1}, at_once), ErrorCode::not_found, "stop of nobody");
  ++calls;
}

void sinks_call_back(Context& context) {
  const Bench bench(context);
  std::atomic<int> calls = 0;
  Recorder& outer = bench.another_sink();
  outer.inside = [&](const Told& told) {
    if (told.what == Told::What::pending) return;
    call_everything(bench, {fmt::format("inner-{}", calls.load()), 1}, calls);
  };
  bench.launch(bench.exits({"outer", 1}, {0, 3}), outer);
  outer.wait_exits({"outer", 1}, 2);
  GangSpec broken = bench.exits({"broken", 1}, {0});
  broken.ranks[0].argv[0] = "/no/such/program";
  bench.launch(broken, outer);
  outer.wait_exits(broken.gang, 1);
  const int made = calls.load();
  context.expect(made == 4, fmt::format("{} calls of a sink called back, expected 4", made));
  for (int index = 0; index < made; ++index)
    bench.sink().wait_exits({fmt::format("inner-{}", index), 1}, 2);
}

void undeclared_capabilities_are_absent(Context& context) {
  const Bench bench(context);
  Peer& peer = *bench.start(bench.gang({"g", 1}, 1))[0];
  for (const char* const word : {"log_tails", "node_drain", "outlives_head", "several_nodes"}) {
    if (context.declares(word)) continue;
    std::vector<std::string> ids{word, fmt::format("weft.executor/{}", word)};
    if (word == std::string_view(ExecutorLogTail::capability)) ids.emplace_back(ExecutorLogTail::interface_id);
    for (const std::string& id : ids)
      context.expect(bench->query(id) == nullptr,
                     fmt::format("'{}' is not declared, and query(\"{}\") has an interface", word, id));
  }
  context.expect(peer.lives(), "query() of a capability that is not declared ended a rank");
  bench.nodes();
}

const Case sink_rules[] = {
    {"EX-77", Level::must, "", "1",
     "sinks are called by one thread of the executor, whatever there is to tell; never by the caller's",
     "A sink needs no lock against itself.", one_thread_calls},
    {"EX-78", Level::must, "", "1", "sinks are called one at a time, over all gangs",
     "A sink needs no lock against itself.", one_call_at_a_time},
    {"EX-79", Level::must, "", "1", "inventory, launch, stop and query return while a sink's call is under way",
     "The head asks under locks of its own that a sink may wait for.", calls_return_meanwhile},
    {"EX-80", Level::must, "", "1", "inventory, launch, stop and query may be called inside on_placed and on_exit",
     "What follows from an event is decided where it is heard.", sinks_call_back},
    {"EX-81", Level::must, "", "1",
     "a capability that is not declared has no interface, and asking for it does nothing",
     "Declarations are what others rely on.", undeclared_capabilities_are_absent},
};

}  // namespace

std::span<const Case> sink_cases() { return sink_rules; }

}  // namespace weft::conformance::ex
