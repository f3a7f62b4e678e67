// How a rank is ended.
#include <fmt/format.h>
#include <signal.h>

#include "tests/conformance/executor/bench.h"
#include "tests/conformance/executor/gate.h"
#include "tests/conformance/executor/groups.h"

namespace weft::conformance::ex {
namespace {

constexpr Duration short_grace = std::chrono::milliseconds(200);
const std::string term = std::to_string(SIGTERM);

// Starts a gang whose ranks have all been told `order`.
std::vector<Peer*> start_and_order(const Bench& bench, const GangSpec& spec, const Words& order) {
  std::vector<Peer*> peers = bench.start(spec);
  for (Peer* const peer : peers)
    peer->order(order);
  return peers;
}

void term_is_honoured(Context& context) {
  const Bench bench(context);
  const GangSpec spec = bench.gang({"g", 1}, 3);
  start_and_order(bench, spec, {"honour", term, "42"});
  context.expect_ok(bench->stop(spec.gang, an_hour), "stop");
  for (const RankSpec& rank : spec.ranks)
    bench.sink().expect_exit(spec.gang, rank.rank, Exit::Cause::code, 42);
}

void kill_comes_after_grace(Context& context) {
  const Bench bench(context);
  const GangSpec spec = bench.gang({"g", 1}, 2);
  start_and_order(bench, spec, {"ignore", term});
  const Time asked = Clock::now();
  context.expect_ok(bench->stop(spec.gang, short_grace), "stop");
  for (const Told& told : bench.sink().wait_exits(spec.gang, 2)) {
    bench.sink().expect_exit(spec.gang, told.rank, Exit::Cause::signal, SIGKILL);
    context.expect(told.at - asked >= short_grace,
                   fmt::format("rank {} was killed before its grace was over", told.rank));
  }
}

void no_grace_kills(Context& context) {
  const Bench bench(context);
  std::int64_t incarnation = 0;
  for (const Duration grace : {Duration::zero(), Duration(-1), Duration::min()}) {
    const GangSpec spec = bench.gang({"g", ++incarnation}, 1);
    start_and_order(bench, spec, {"ignore", term});
    context.expect_ok(bench->stop(spec.gang, grace), "stop");
    bench.sink().expect_exit(spec.gang, 0, Exit::Cause::signal, SIGKILL);
  }
}

void endless_grace_is_legal(Context& context) {
  const Bench bench(context);
  const GangSpec spec = bench.gang({"g", 1}, 2);
  const std::vector<Peer*> peers = bench.start(spec);
  peers[0]->order({"ignore", term});
  peers[1]->order({"honour", term, "42"});
  context.expect_ok(bench->stop(spec.gang, Duration::max()), "stop");
  bench.sink().expect_exit(spec.gang, 1, Exit::Cause::code, 42);
  context.expect(peers[0]->lives(), "a rank was killed though its grace is endless");
  bench.end(spec);
}

void the_shorter_grace_counts(Context& context) {
  const Bench bench(context);
  const GangSpec first = bench.gang({"a", 1}, 2);
  start_and_order(bench, first, {"ignore", term});
  context.expect_ok(bench->stop(first.gang, an_hour), "stop");
  context.expect_ok(bench->stop(first.gang, short_grace), "stop again, with a shorter grace");
  bench.sink().wait_exits(first.gang, 2);
  const GangSpec second = bench.gang({"b", 1}, 2);
  start_and_order(bench, second, {"ignore", term});
  context.expect_ok(bench->stop(second.gang, short_grace), "stop");
  context.expect_ok(bench->stop(second.gang, an_hour), "stop again, with a longer grace");
  bench.sink().wait_exits(second.gang, 2);
}

void stop_again_is_legal(Context& context) {
  const Bench bench(context);
  const GangSpec spec = bench.gang({"g", 1}, 2);
  start_and_order(bench, spec, {"ignore", term});
  for (int time = 0; time < 5; ++time)
    context.expect_ok(bench->stop(spec.gang, an_hour), "stop again");
  context.expect_ok(bench->stop(spec.gang, at_once), "the last stop");
  bench.sink().wait_exits(spec.gang, 2);
  context.expect_ok(bench->close(), "close");
  context.expect(bench.sink().all(spec.gang, Told::What::exit).size() == 2, "a rank has more than one exit");
}

void unknown_gangs_are_not_found(Context& context) {
  const Bench bench(context);
  const GangSpec spec = bench.gang({"g", 5}, 1);
  const auto expect_not_found = [&](const GangId& gang, const char* what) {
    context.expect_error(bench->stop(gang, at_once), ErrorCode::not_found, what);
  };
  expect_not_found(spec.gang, "stop before the launch");
  Peer& peer = *bench.start(spec)[0];
  expect_not_found({"h", 5}, "stop of another gang");
  expect_not_found({"g", 4}, "stop of an earlier incarnation");
  expect_not_found({"g", 6}, "stop of a later incarnation");
  expect_not_found({"", 5}, "stop of the gang ''");
  context.expect(peer.lives(), "a stop that found nothing ended a gang");
  bench.end(spec);
  expect_not_found(spec.gang, "stop after the end");
}

// Every rank has one exit, which is none of its own, and none is left.
void expect_stopped(const Bench& bench, const GangSpec& spec) {
  const Context& context = bench.context();
  for (const Told& told : bench.sink().wait_exits(spec.gang, spec.ranks.size()))
    context.expect(told.exit.cause == Exit::Cause::signal || told.exit.cause == Exit::Cause::never_started,
                   fmt::format("rank {} of a gang that was stopped ended with {}", told.rank, to_text(told.exit)));
}

void stopped_right_after_launch(Context& context) {
  const Bench bench(context);
  const int gangs = context.level() == Level::must ? 10 : 50;
  std::vector<GangSpec> specs;
  for (int index = 0; index < gangs; ++index) {
    specs.push_back(bench.gang({fmt::format("g{}", index), 1}, 3));
    bench.launch(specs.back());
    for (std::uint64_t call = context.random()() % 100; index % 2 == 1 && call > 0; --call)
      bench.nodes();  // passes some time, so that the stop comes at any stage
    context.expect_ok(bench->stop(specs.back().gang, at_once), "stop right after launch");
  }
  for (const GangSpec& spec : specs)
    expect_stopped(bench, spec);
  context.expect_ok(bench->close(), "close");
  for (const GangSpec& spec : specs)
    context.expect(bench.sink().all(spec.gang, Told::What::exit).size() == 3, "a rank has more than one exit");
  expect_none_left(context, "of gangs that were stopped right after their launch");
}

void stopped_while_pending(Context& context) {
  const Bench bench(context);
  Gate gate(context);
  bench.sink().inside = [&](const Told& told) {
    if (told.gang.id == "first" && told.what == Told::What::exit) gate.hold();
  };
  bench.launch(bench.exits({"first", 1}, {0}));
  gate.wait_held();  // the executor's thread is busy: what follows waits
  const GangSpec spec = bench.gang({"g", 1}, 3);
  bench.launch(spec);
  context.expect_ok(bench->stop(spec.gang, at_once), "stop of a gang that is not yet placed");
  gate.open();
  expect_stopped(bench, spec);
  expect_none_left(context, "of a gang that was stopped before it was placed");
}

void stopped_by_its_sink(Context& context) {
  const Bench bench(context);
  bench.sink().inside = [&](const Told& told) {
    if (told.what == Told::What::placed) context.expect_ok(bench->stop(told.gang, at_once), "stop inside on_placed");
  };
  const GangSpec spec = bench.gang({"g", 1}, 3);
  bench.launch(spec);
  expect_stopped(bench, spec);
}

const Case stop_rules[] = {
    {"EX-62", Level::must, "", "1",
     "stop sends TERM first: a rank that honours it ends with its own code, and nothing waits for the grace",
     "Workers write what they have and leave their groups.", term_is_honoured},
    {"EX-63", Level::must, "", "1", "a rank that ignores TERM is killed when the grace is over, and not before",
     "A hanging worker must go, a slow one must not.", kill_comes_after_grace},
    {"EX-64", Level::must, "", "1", "a grace of nothing, or less, kills at once",
     "A head that has no time left says so.", no_grace_kills},
    {"EX-65", Level::must, "", "1", "a grace without end never kills",
     "The largest duration must not overflow to none.", endless_grace_is_legal},
    {"EX-66", Level::must, "", "1", "of several stops the shorter grace counts, whichever came first",
     "A user who interrupts twice is in a hurry.", the_shorter_grace_counts},
    {"EX-67", Level::must, "", "1", "stop may be called again and again", "Several reasons to stop come at once.",
     stop_again_is_legal},
    {"EX-68", Level::must, "", "1",
     "stop of a gang or an incarnation that does not live is not_found, and touches nothing",
     "A late word about an old incarnation must not end the new one.", unknown_gangs_are_not_found},
    {"EX-69", Level::must, "", "1", "stop right after launch ends the gang at any stage: one exit each, nothing left",
     "A run may be interrupted at any moment.", stopped_right_after_launch},
    {"EX-70", Level::must, "", "1", "a gang that is not yet placed can be stopped",
     "A run may be interrupted at any moment.", stopped_while_pending},
    {"EX-71", Level::must, "", "1", "a sink may stop its gang inside on_placed", "Nobody may want it any more.",
     stopped_by_its_sink},
};

}  // namespace

std::span<const Case> stop_cases() { return stop_rules; }

}  // namespace weft::conformance::ex
