// How a rank ends by itself or by a stranger's hand.
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/conformance/executor/bench.h"
#include "tests/conformance/executor/groups.h"

namespace weft::conformance::ex {
namespace {

void codes_are_told_once(Context& context) {
  const Bench bench(context);
  const std::vector<int> codes = {0, 1, 255, 77, 0};
  const GangSpec spec = bench.exits({"g", 1}, codes);
  bench.launch(spec);
  bench.sink().wait_exits(spec.gang, codes.size());
  for (std::size_t rank = 0; rank < codes.size(); ++rank)
    bench.sink().expect_exit(spec.gang, static_cast<int>(rank), Exit::Cause::code, codes[rank]);
  context.expect_ok(bench->close(), "close");  // after it no more can come
  const std::size_t told = bench.sink().all(spec.gang, Told::What::exit).size();
  context.expect(told == codes.size(), fmt::format("{} ranks have {} exits", codes.size(), told));
}

void signals_are_told_once(Context& context) {
  const Bench bench(context);
  const std::vector<int> signals = {SIGKILL, SIGTERM, SIGSEGV, SIGABRT, SIGHUP};
  const GangSpec spec = bench.gang({"g", 1}, static_cast<int>(signals.size()));
  const std::vector<Peer*> peers = bench.start(spec);
  for (std::size_t rank = 0; rank < signals.size(); ++rank)
    peers[rank]->tell({"raise", std::to_string(signals[rank])});
  for (std::size_t rank = 0; rank < signals.size(); ++rank)
    bench.sink().expect_exit(spec.gang, static_cast<int>(rank), Exit::Cause::signal, signals[rank]);
  context.expect_ok(bench->close(), "close");
  const std::size_t told = bench.sink().all(spec.gang, Told::What::exit).size();
  context.expect(told == signals.size(), fmt::format("{} ranks have {} exits", signals.size(), told));
}

// A gang that comes and goes: whatever the executor had to tell until now is told.
void let_pass(const Bench& bench, const GangId& gang) {
  bench.launch(bench.exits(gang, {0}));
  bench.sink().wait_exit(gang, 0);
}

void stopped_is_not_ended(Context& context) {
  const Bench bench(context);
  const GangSpec spec = bench.gang({"g", 1}, 2);
  const std::vector<Peer*> peers = bench.start(spec);
  // By the rank itself: it may be on another machine. Its neighbour sees whether it goes on.
  peers[0]->tell({"raise", std::to_string(SIGSTOP)});
  // Several: it is stopped some time during the first, and an executor may look from time to time only.
  for (std::int64_t turn = 1; turn <= 5; ++turn)
    let_pass(bench, {"other", turn});
  context.expect(bench.sink().all(spec.gang, Told::What::exit).empty(),
                 "a rank that was stopped (SIGSTOP) was told to have ended");
  context.expect(peers[1]->lives(), "a rank ended because another was stopped");
  context.expect_ok(bench->stop(spec.gang, at_once), "stop");
  bench.sink().expect_exit(spec.gang, 0, Exit::Cause::signal, SIGKILL);
  bench.sink().wait_exit(spec.gang, 1);  // by TERM or by KILL
  context.expect_ok(bench->close(), "close");
  context.expect(bench.sink().all(spec.gang, Told::What::exit).size() == 2, "a rank has more than one exit");
}

void one_end_is_one_end(Context& context) {
  const Bench bench(context);
  const GangSpec spec = bench.gang({"g", 1}, 3);
  const std::vector<Peer*> peers = bench.start(spec);
  peers[1]->tell({"exit", "9"});
  bench.sink().expect_exit(spec.gang, 1, Exit::Cause::code, 9);
  let_pass(bench, {"other", 1});
  for (const std::size_t rank : {0U, 2U})
    context.expect(peers[rank]->lives(), fmt::format("rank {} ended because rank 1 did", rank));
  context.expect(bench.sink().all(spec.gang, Told::What::exit).size() == 1,
                 "exits were told of ranks that live, or rank 1's twice");
  peers[0]->tell({"exit", "3"});
  bench.sink().expect_exit(spec.gang, 0, Exit::Cause::code, 3);
}

void told_ends_are_ends(Context& context) {
  const Bench bench(context);
  for (int round = 0; round < 5; ++round) {
    const GangSpec spec = bench.gang({"g", round}, 2);
    const std::vector<Peer*> peers = bench.start(spec);
    // The end of its output is not a rank's end.
    for (const char* const standard : {"0", "1", "2"})
      peers[0]->order({"close", standard});
    let_pass(bench, {"other", round});
    context.expect(bench.sink().all(spec.gang, Told::What::exit).empty(), "an exit was told of ranks that live");
    const bool by_itself = round % 2 == 0;
    for (Peer* const peer : peers)
      by_itself ? peer->tell({"exit", "0"}) : peer->order({"ignore", std::to_string(SIGTERM)});
    if (!by_itself) context.expect_ok(bench->stop(spec.gang, at_once), "stop");
    bench.sink().wait_exits(spec.gang, 2);
    for (Peer* const peer : peers)
      context.expect(!peer->lives(), "a rank lives on after its exit was told");
  }
}

void no_zombies(Context& context) {
  const Bench bench(context);
  const GangSpec spec = bench.exits({"g", 1}, std::vector<int>(8, 0));
  bench.launch(spec);
  bench.sink().wait_exits(spec.gang, 8);
  const GangSpec stopped = bench.gang({"h", 1}, 2);
  bench.start(stopped);
  bench.end(stopped);
  // Of this process: whoever starts ranks elsewhere has none, and is right.
  siginfo_t ended{};
  const int found = ::waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT);
  context.expect(found != 0 || ended.si_pid == 0,
                 fmt::format("process {} has ended and nobody has reaped it", ended.si_pid));
}

const Case exit_rules[] = {
    {"EX-56", Level::must, "", "1", "an exit code is told once, with cause code and its value: 0, 1 and 255 too",
     "What a worker's code means is the head's to decide.", codes_are_told_once},
    {"EX-57", Level::must, "", "1", "a signal that ends a rank is told once, with cause signal and its number",
     "Killed for memory and crashed are told apart by it.", signals_are_told_once},
    {"EX-58", Level::must, "", "1", "a rank that is stopped (SIGSTOP) has not ended; killed then, it has one exit",
     "A debugger stops processes.", stopped_is_not_ended},
    {"EX-59", Level::must, "", "1", "the end of one rank is told at once and ends no other",
     "What follows from a rank's end is the head's decision.", one_end_is_one_end},
    {"EX-60", Level::must, "", "1", "when a rank's exit is told, it is no more",
     "Its memory and devices are about to be used again.", told_ends_are_ends, std::chrono::seconds(60)},
    {"EX-61", Level::must, "", "1", "when exits have been told, the head's process has no zombie",
     "Replicas restart for weeks; process numbers run out.", no_zombies},
};

}  // namespace

std::span<const Case> exit_cases() { return exit_rules; }

}  // namespace weft::conformance::ex
