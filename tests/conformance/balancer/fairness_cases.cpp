// Nobody is flooded and nobody starves.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "tests/conformance/balancer/groups.h"
#include "tests/conformance/balancer/simulation.h"

namespace weft::conformance {
namespace {

void no_pile_up(Context& context) {
  Fleet fleet(context, 7);
  expect_spread(context, fleet.spread(10'000, 1), 7, "10,000 equal requests before any feedback");
}

void spreads_among_any_number(Context& context) {
  for (const ReplicaId replicas : {1, 2, 3, 8, 64, 257}) {
    Fleet fleet(context, replicas);
    const auto counts = fleet.spread(40 * replicas, 1);
    expect_spread(context, counts, static_cast<std::size_t>(replicas), fmt::format("{} replicas", replicas));
    context.expect(counts.size() == static_cast<std::size_t>(replicas),
                   fmt::format("{} of {} replicas got none of 40 picks each",
                               static_cast<std::size_t>(replicas) - counts.size(), replicas));
  }
}

void spreads_in_steady_state(Context& context) {
  Fleet fleet(context, 6);
  std::map<ReplicaId, int> counts;
  std::vector<std::pair<RequestId, ReplicaId>> live;
  for (RequestId id = 1; id <= 6000; ++id) {
    const Ask ask{.id = id};
    const ReplicaId replica = fleet.pick(ask);
    fleet.dispatched(ask, replica);
    ++counts[replica];
    live.emplace_back(id, replica);
    if (live.size() > 60) {
      fleet.finished(live.front().first, live.front().second);
      live.erase(live.begin());
    }
    fleet.now += std::chrono::milliseconds(1);
  }
  expect_spread(context, counts, 6, "equal requests that come and go");
  context.expect(counts.size() == 6, "a replica got none of 6,000 equal requests");
}

void ineligible_ones_do_not_tilt(Context& context) {
  // A long run of dead ones before one that lives: whoever probes for the next gives it thirteen shares of sixteen.
  Fleet fleet(context, 16);
  for (ReplicaId id = 0; id < 16; ++id)
    fleet.row(id)->eligible = id >= 12;
  expect_spread(context, fleet.spread(2000, 1), 4, "4 eligible of 16");
  for (const ReplicaId id : {3, 5, 9})
    fleet.row(id)->eligible = true;
  expect_spread(context, fleet.spread(3500, 10'000), 7, "7 eligible of 16");
}

void respects_capacities(Context& context) {
  Fleet fleet(context, 6);
  std::vector<double> rates;
  for (ReplicaView& row : fleet.table) {
    row.capacity = 1 << row.id;
    rates.push_back(1000.0 * (1 + row.id % 3));
  }
  const auto work = skewed_work(context, 3000);
  const Served served = simulate(fleet, work, rates);
  int done = 0;
  for (const auto& [replica, count] : served.requests)
    done += count;
  context.expect(done == 3000, fmt::format("{} of 3000 requests were served", done));
}

void makespan_of_a_mix(Context& context) {
  constexpr ReplicaId replicas = 8;
  Fleet fleet(context, replicas);
  const auto work = skewed_work(context, 2000);
  const Served served = simulate(fleet, work, std::vector<double>(replicas, 1.0));
  const double ideal = total(work) / replicas;
  const double allowed = context.profile().limit("makespan_bound") * ideal + longest(work);
  context.note(fmt::format("makespan {:.3f} of the ideal", served.makespan / ideal));
  context.expect(
      served.makespan <= allowed,
      fmt::format("the last of 2000 requests ended after {:.0f} s; all replicas busy would need {:.0f}, at most {:.0f}",
                  served.makespan, ideal, allowed));
}

void makespan_with_room_for_few(Context& context) {
  constexpr ReplicaId replicas = 5;
  constexpr std::int32_t capacity = 4;
  Fleet fleet(context, replicas);
  for (ReplicaView& row : fleet.table)
    row.capacity = capacity;
  const auto work = skewed_work(context, 2000);
  const Served served = simulate(fleet, work, std::vector<double>(replicas, 1.0));
  const double allowed = total(work) / replicas + capacity * longest(work);
  context.expect(served.makespan <= allowed,
                 fmt::format("the last ended after {:.0f} s, at most {:.0f}", served.makespan, allowed));
}

void greedy_by_tokens(Context& context) {
  if (!weighs_tokens(context)) context.skip("this balancer does not weigh requests by their tokens");
  if (!always_takes_the_least(context))
    context.skip("this balancer does not always take the least loaded replica: Graham's bound is of those that do");
  for (int round = 0; round < 5; ++round) {
    constexpr ReplicaId replicas = 6;
    Fleet fleet(context, replicas);
    const auto work = skewed_work(context, 600);
    const Served served = simulate(fleet, work, std::vector<double>(replicas, 1.0));
    const double allowed = total(work) / replicas + longest(work);
    context.expect(served.makespan <= allowed + 1e-6,
                   fmt::format("makespan {:.0f}, Graham's bound is {:.0f}", served.makespan, allowed));
  }
}

void huge_requests(Context& context) {
  constexpr std::int32_t huge = std::numeric_limits<std::int32_t>::max();
  Fleet fleet(context, 4);
  expect_spread(context, fleet.spread(4000, 1, huge, huge), 4, "requests of 2^31 - 1 tokens");
  for (RequestId id = 1; id <= 4000; ++id)
    for (ReplicaId replica = 0; replica < 4; ++replica)
      fleet.finished(id, replica, huge);
  Fleet odd(context, 4);
  for (const std::int32_t tokens : {0, -1, std::numeric_limits<std::int32_t>::min()})
    expect_spread(
        context, odd.spread(400, static_cast<RequestId>(std::int64_t{tokens} & 0xffff'ffff) * 1000 + 1, tokens, tokens),
        4, fmt::format("requests of {} tokens", tokens));
}

void hears_the_leader(Context& context) {
  Fleet fleet(context, 4);
  for (ReplicaId id = 0; id < 4; ++id)
    fleet.observe({.kind = Event::Kind::stats,
                   .replica = id,
                   .incarnation = 1,
                   .waiting = id == 1 ? 500 : 0,
                   .running = id == 1 ? 64 : 1,
                   .pending_prefill_tokens = id == 1 ? 500'000 : 0,
                   .kv_usage = id == 1 ? 1.0 : 0.1,
                   .stats_sequence = 1});
  auto counts = fleet.spread(400, 1);
  context.expect(counts[1] <= 50,
                 fmt::format("a replica whose leader reports 500 waiting got {} of 400 picks", counts[1]));
}

constexpr Case fairness_rules[] = {
    {.id = "LB-30",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title =
         "10,000 equal requests before any feedback do not pile up: no replica gets more than twice the mean and 8",
     .rationale = "Feedback comes a step later than picks; a burst must spread by what was picked. The profile's limit "
                  "\"spread\" stands in for the 2 where weights are uneven on purpose.",
     .body = no_pile_up},
    {.id = "LB-31",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "equal requests spread among any number of replicas, and none starves: each gets some of 40 a replica",
     .rationale = "1, 2, 3, 8, 64 and 257 replicas are tried.",
     .body = spreads_among_any_number},
    {.id = "LB-32",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "equal requests that come and go spread as well",
     .rationale = "A charge that is forgotten, or ends twice, tilts the balance slowly.",
     .body = spreads_in_steady_state},
    {.id = "LB-33",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "replicas that are not eligible do not tilt the shares of the others",
     .rationale = "The neighbour of a dead replica must not get its share and its own.",
     .body = ineligible_ones_do_not_tilt},
    {.id = "LB-34",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "replicas of different capacities and speeds are kept within their capacity, and every request is served",
     .rationale = "A replica at its capacity is not eligible; there is always room somewhere while requests wait.",
     .body = respects_capacities},
    {.id = "LB-35",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "2000 requests, short with long among them, end within twice the ideal makespan and the longest request",
     .rationale = "Blind turns meet it; a sharper bound can be claimed by the profile's limit \"makespan_bound\".",
     .body = makespan_of_a_mix},
    {.id = "LB-36",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title =
         "where replicas hold at most c requests, all end within the ideal makespan and c times the longest request",
     .rationale = "While requests wait every replica is busy: list scheduling.",
     .body = makespan_with_room_for_few},
    {.id = "LB-37",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a balancer that weighs tokens keeps Graham's bound: the ideal makespan and the longest request",
     .rationale = "Graham 1966: a list schedule by least load. Skipped where tokens are seen not to count, or "
                  "where lots are drawn: the theorem asks for the least loaded one each time.",
     .body = greedy_by_tokens},
    {.id = "LB-38",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "token counts at the ends of their type, zero and negative ones overflow nothing and still spread",
     .rationale = "4000 requests of 2^31 - 1 tokens do not fit 32 bits.",
     .body = huge_requests},
    {.id = "LB-39",
     .level = Level::must,
     .needs = "fixture:hears_stats",
     .since = "1",
     .title = "a replica whose leader reports a long queue that the router did not send gets at most half its share",
     .rationale =
         "Other routers' requests are seen in a leader's stats only. For balancers that claim it in their profile.",
     .body = hears_the_leader},
};

}  // namespace

std::span<const Case> fairness_cases() { return fairness_rules; }

}  // namespace weft::conformance
