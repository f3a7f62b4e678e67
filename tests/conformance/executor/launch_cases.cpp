// Gangs that start.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "tests/conformance/executor/bench.h"
#include "tests/conformance/executor/groups.h"

namespace weft::conformance::ex {
namespace {

// What was told of a gang, in order: "placed", "exit 0", ...; on_pending may come at any time before.
std::vector<std::string> story_of(const Recorder& sink, const GangId& gang) {
  std::vector<std::string> story;
  for (const Told& told : sink.all())
    if (told.gang == gang && told.what != Told::What::pending)
      story.push_back(told.what == Told::What::placed ? "placed" : fmt::format("exit {}", told.rank));
  return story;
}

void placed_once_before_exits(Context& context) {
  const Bench bench(context);
  const GangSpec spec = bench.gang({"g", 1}, 3);
  const std::vector<Peer*> peers = bench.start(spec);
  const std::vector<Placement> placements = bench.sink().wait_placed(spec.gang);
  context.expect(placements.size() == 3, fmt::format("3 ranks have {} placements", placements.size()));
  std::set<std::int32_t> ranks;
  for (const Placement& placement : placements) {
    context.expect(placement.rank >= 0 && placement.rank < 3 && ranks.insert(placement.rank).second,
                   fmt::format("rank {} is placed and was not asked for, or is placed twice", placement.rank));
    const std::int64_t pid = peers[static_cast<std::size_t>(placement.rank)]->pid();
    context.expect(placement.pid == pid || placement.pid == 0,
                   fmt::format("rank {} has pid {}, expected {} or 0", placement.rank, placement.pid, pid));
  }
  for (Peer* const peer : peers)
    peer->tell({"exit", "0"});
  bench.sink().wait_exits(spec.gang, 3);
  context.expect_ok(bench->close(), "close");
  const std::vector<std::string> story = story_of(bench.sink(), spec.gang);
  context.expect(
      story.size() == 4 && story.front() == "placed" && std::count(story.begin(), story.end(), "placed") == 1,
      fmt::format("the sink was told: {}; expected 'placed' once, first, and 3 exits", fmt::join(story, ", ")));
}

void placed_before_an_immediate_exit(Context& context) {
  const Bench bench(context);
  constexpr int gangs = 10;
  for (int index = 0; index < gangs; ++index) {
    const GangSpec spec = bench.exits({"g", index}, {0, 3});
    bench.launch(spec);
    bench.sink().wait_exits(spec.gang, 2);
    const std::vector<std::string> story = story_of(bench.sink(), spec.gang);
    context.expect(story.front() == "placed",
                   fmt::format("ranks that end at once: the sink was told: {}", fmt::join(story, ", ")));
  }
}

void many_ranks(Context& context) {
  const Bench bench(context);
  const int count = static_cast<int>(context.profile().limit("ranks"));
  const GangSpec spec = bench.gang({"g", 1}, count);
  const Time began = Clock::now();
  const std::vector<Peer*> peers = bench.start(spec);
  const Time ready = Clock::now();
  std::set<std::int64_t> pids;
  for (Peer* const peer : peers)
    pids.insert(peer->pid());
  context.expect(pids.size() == static_cast<std::size_t>(count),
                 fmt::format("{} ranks have {} different pids", count, pids.size()));
  bench.end(spec);
  const auto ms = [](Duration duration) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  };
  context.note(fmt::format("{} ranks started in {} ms and were stopped in {} ms", count, ms(ready - began),
                           ms(Clock::now() - ready)));
  for (Peer* const peer : peers)
    peer->expect_gone("after its exit was told");
}

void ranks_are_names(Context& context) {
  const Bench bench(context);
  const GangId gang{"replica-7", 41};
  GangSpec spec{.gang = gang, .ranks = {}};
  const std::vector<std::int32_t> numbers = {7, 0, 2147483647, 1000};
  for (const std::int32_t number : numbers)
    spec.ranks.push_back(bench.post().rank_spec(gang, number));
  const std::vector<Peer*> peers = bench.start(spec);
  std::set<std::int32_t> placed;
  for (const Placement& placement : bench.sink().wait_placed(gang))
    placed.insert(placement.rank);
  context.expect(placed == std::set<std::int32_t>(numbers.begin(), numbers.end()),
                 "the placements have other ranks than the spec");
  for (std::size_t index = 0; index < numbers.size(); ++index) {
    peers[index]->tell({"exit", std::to_string(index + 1)});
    bench.sink().expect_exit(gang, numbers[index], Exit::Cause::code, static_cast<int>(index) + 1);
  }
}

void gangs_side_by_side(Context& context) {
  const Bench bench(context);
  Recorder& other = bench.another_sink();
  const GangSpec first = bench.gang({"a", 1}, 2);
  const GangSpec second = bench.gang({"b", 5}, 2);
  bench.start(first);
  const std::vector<Peer*> peers = bench.start(second, other);
  bench.end(first);
  for (Peer* const peer : peers)
    context.expect(peer->lives(), fmt::format("{} ended with another gang", peer->name()));
  for (const Told& told : other.all())
    context.expect(
        told.gang == second.gang && told.what != Told::What::exit,
        fmt::format("the sink of gang b.5 was told of gang {}.{}, or of an exit", told.gang.id, told.gang.incarnation));
  for (const Told& told : bench.sink().all())
    context.expect(told.gang == first.gang, "the sink of gang a.1 was told of gang b");
}

void living_gang_is_not_launched(Context& context) {
  const Bench bench(context);
  const GangSpec spec = bench.gang({"g", 5}, 2);
  const std::vector<Peer*> peers = bench.start(spec);
  Recorder& other = bench.another_sink();
  for (const std::int64_t incarnation : {5, 6, 4}) {
    const GangSpec again = bench.exits({"g", incarnation}, {0, 0});
    context.expect_error(bench->launch(again, other), ErrorCode::already_exists,
                         fmt::format("launch of g.{} while g.5 lives", incarnation));
  }
  for (Peer* const peer : peers)
    context.expect(peer->lives(), "a refused launch ended the living gang");
  // Launched and not yet placed is alive too.
  const GangSpec fresh = bench.gang({"h", 1}, 2);
  bench.launch(fresh);
  context.expect_error(bench->launch(bench.exits({"h", 2}, {0, 0}), other), ErrorCode::already_exists,
                       "launch of h.2 right after h.1");
  context.expect_ok(bench->close(), "close");
  context.expect(other.heard_nothing(), "the sink of a refused launch was told something");
}

void next_incarnation(Context& context) {
  const Bench bench(context);
  for (std::int64_t incarnation = 1; incarnation <= 3; ++incarnation) {
    const GangSpec spec = bench.gang({"g", incarnation}, 2);
    const std::vector<Peer*> peers = bench.start(spec);
    peers[0]->tell({"exit", "1"});
    bench.sink().expect_exit(spec.gang, 0, Exit::Cause::code, 1);
    context.expect_error(bench->launch(bench.exits({"g", incarnation + 1}, {0}), bench.sink()),
                         ErrorCode::already_exists, "launch while one of two ranks lives");
    bench.end(spec);
  }
}

void relaunched_by_its_sink(Context& context) {
  const Bench bench(context);
  Recorder& sink = bench.sink();
  constexpr std::int64_t last = 5;
  int exits = 0;  // of the sink's thread alone
  sink.inside = [&](const Told& told) {
    if (told.what != Told::What::exit || ++exits % 2 != 0 || told.gang.incarnation == last) return;
    // The last of its gang: the name is free.
    bench.launch(bench.exits({"g", told.gang.incarnation + 1}, {0, 0}));
  };
  bench.launch(bench.exits({"g", 1}, {0, 0}));
  sink.wait_exits({"g", last}, 2);
}

const Case launch_rules[] = {
    {"EX-20", Level::must, "", "1", "on_placed comes once and before every exit, with each rank's pid (or 0)",
     "The head counts on it: placed, then ended.", placed_once_before_exits},
    {"EX-21", Level::must, "", "1", "ranks that end at once are placed first, and then ended",
     "The order holds however fast a rank is.", placed_before_an_immediate_exit},
    {"EX-22", Level::must, "", "1", "a gang of 64 ranks (the profile's limit 'ranks') starts whole, and ends whole",
     "A replica of a large model has as many.", many_ranks, std::chrono::seconds(60)},
    {"EX-23", Level::must, "", "1", "rank numbers are names: any order, any gaps, up to the largest",
     "A replica's ranks are global ones and begin anywhere.", ranks_are_names},
    {"EX-24", Level::must, "", "1",
     "gangs live side by side: each sink hears of its own, and one's end does not touch another",
     "Each replica is a gang.", gangs_side_by_side},
    {"EX-25", Level::must, "", "1",
     "launching a gang that lives, in any incarnation, is already_exists, and its sink hears nothing",
     "Two incarnations of a replica must never run at once.", living_gang_is_not_launched},
    {"EX-26", Level::must, "", "1",
     "a gang lives until its last rank has ended; then its next incarnation can be launched",
     "That is how a replica comes back.", next_incarnation},
    {"EX-27", Level::must, "", "1",
     "inside the call that tells a gang's last exit its next incarnation can be launched",
     "A head that relaunches at once must not be told to wait.", relaunched_by_its_sink},
};

}  // namespace

std::span<const Case> launch_cases() { return launch_rules; }

}  // namespace weft::conformance::ex
