// Many gangs, many threads, for a long time.
#include <fmt/format.h>
#include <malloc.h>
#include <signal.h>

#include <atomic>

#include "tests/conformance/executor/bench.h"
#include "tests/conformance/executor/groups.h"
#include "tests/conformance/plugin/footprint.h"

namespace weft::conformance::ex {
namespace {

std::size_t bytes_in_use() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

// Launched and ended, by itself or by a stop at any stage; nothing is kept of it.
void one_round(const Bench& bench, int round) {
  const GangId id{"g", round};
  const GangSpec spec = round % 2 == 0 ? bench.exits(id, {0, 1}) : bench.gang(id, 2);
  bench.launch(spec);
  if (round % 4 == 1) bench.sink().wait_placed(id);
  if (round % 2 == 1) bench.context().expect_ok(bench->stop(id, at_once), "stop");
  bench.sink().wait_exits(id, 2);
  bench.sink().forget();
}

void rounds_leave_nothing_of_gangs(Context& context) {
  constexpr int warm_up = 8;
  constexpr std::size_t allowed = std::size_t{256} << 10;  // bytes: what the allocator and the case itself keep
  const int rounds = context.level() == Level::must ? 40 : context.level() == Level::full ? 100 : 1000;
  const Bench bench(context);
  int round = 0;
  while (round < warm_up)
    one_round(bench, round++);
  const Holdings before = look_at_holdings();
  const std::size_t bytes = bytes_in_use();
  while (round < warm_up + rounds)
    one_round(bench, round++);
  const std::size_t after = bytes_in_use();
  context.expect(after <= bytes + allowed,
                 fmt::format("{} gangs that came and went hold {} bytes", rounds, after - bytes));
  expect_no_more(context, before, fmt::format("after {} gangs came and went", rounds));
  expect_none_left(context, fmt::format("of {} gangs that came and went", rounds));
}

void many_threads(Context& context) {
  const Bench bench(context);
  const int gangs = context.level() == Level::must ? 4 : 20;
  constexpr int threads = 6;
  std::atomic<std::size_t> ranks = 0;
  context.run_threads(threads, [&](int thread) {
    for (int index = 0; index < gangs; ++index) {
      const GangId id{fmt::format("g{}", thread), index};
      const bool lives = (thread + index) % 2 == 0;
      const GangSpec spec = lives ? bench.gang(id, 2) : bench.exits(id, {0, 1, 2});
      bench.launch(spec);
      bench.nodes();
      context.expect(bench->query("weft.test/nothing") == nullptr, "an unknown interface was found");
      if (lives) context.expect_ok(bench->stop(id, at_once), "stop");
      context.expect_error(bench->stop({id.id, index + 1}, at_once), ErrorCode::not_found, "stop of the next");
      bench.sink().wait_exits(id, spec.ranks.size());
      ranks += spec.ranks.size();
    }
  });
  context.expect_ok(bench->close(), "close");
  std::size_t exits = 0;
  for (const Told& told : bench.sink().all())
    exits += told.what == Told::What::exit ? 1 : 0;
  context.expect(exits == ranks, fmt::format("{} ranks have {} exits", ranks.load(), exits));
}

// What a gang of a long run may go through; every choice is drawn.
void live_at_random(const Bench& bench, const GangId& id) {
  Context& context = bench.context();
  const auto draw = [&](std::uint64_t below) { return static_cast<int>(context.random()() % below); };
  GangSpec spec = bench.gang(id, 1 + draw(4));
  if (draw(5) == 0) spec.ranks[0].argv[0] = "/no/such/program";
  bench.launch(spec);
  if (draw(3) > 0 && spec.ranks[0].argv[0] != "/no/such/program") {
    Peer& peer = bench.post().peer(id, 0);
    if (draw(2) == 0) peer.order({"child", peer.name() + "/child", "group"});
    if (draw(2) == 0) peer.order({"ignore", std::to_string(SIGTERM)});
    if (draw(2) == 0) peer.tell({"exit", "1"});
  }
  const Status stopped = bench->stop(id, std::chrono::milliseconds(draw(50)));
  if (!stopped) context.expect_error(stopped, ErrorCode::not_found, "stop");
  bench.sink().wait_exits(id, spec.ranks.size());
  context.expect(bench.sink().all(id, Told::What::exit).size() == spec.ranks.size(), "a rank has more than one exit");
}

void random_lives(Context& context) {
  const Bench bench(context);
  const Deadline deadline = Deadline::in(context.level() == Level::soak ? Duration(std::chrono::minutes(5))
                                                                        : Duration(std::chrono::seconds(5)));
  int gangs = 0;
  for (; !deadline.passed(); ++gangs) {
    live_at_random(bench, {"g", gangs});
    bench.sink().forget();
  }
  expect_none_left(context, fmt::format("of {} gangs", gangs));
  context.note(fmt::format("{} gangs", gangs));
}

const Case endurance_rules[] = {
    {"EX-95", Level::must, "", "1", "gangs that come and go leave no process, descriptor, thread or memory behind",
     "Replicas restart for weeks.", rounds_leave_nothing_of_gangs, std::chrono::seconds(60)},
    {"EX-96", Level::must, "", "1", "every call may come from several threads at once", "The head has several.",
     many_threads, std::chrono::seconds(60)},
    {"EX-97", Level::full, "", "1", "whatever gangs go through, each rank has one exit and nothing is left",
     "Rare orders of events.", random_lives, std::chrono::seconds(400)},
};

}  // namespace

std::span<const Case> endurance_cases() { return endurance_rules; }

}  // namespace weft::conformance::ex
