// The same calls, the same decisions.
#include <fmt/format.h>

#include <algorithm>

#include "tests/conformance/balancer/groups.h"
#include "tests/conformance/balancer/script.h"

namespace weft::conformance {
namespace {

void expect_same(Context& context, const std::vector<ReplicaId>& first, const std::vector<ReplicaId>& second,
                 std::string_view what) {
  const auto differs = std::mismatch(first.begin(), first.end(), second.begin(), second.end());
  if (differs.first == first.end()) return;
  context.fail(fmt::format("{}: pick {} went to replica {} and to {}", what, differs.first - first.begin(),
                           *differs.first, *differs.second));
}

void two_objects(Context& context) {
  for (int round = 0; round < 3; ++round) {
    const ScriptOptions options{.seed = context.random()(), .steps = 2000};
    expect_same(context, run_script(context, options), run_script(context, options), "two objects, the same calls");
  }
}

void another_thread(Context& context) {
  const ScriptOptions options{.seed = context.random()(), .steps = 1000};
  const auto here = run_script(context, options);
  std::vector<ReplicaId> there;
  context.run_threads(1, [&](int) { there = run_script(context, options); });
  expect_same(context, here, there, "the same calls in another thread");
}

void another_origin_of_time(Context& context) {
  ScriptOptions options{.seed = context.random()(), .steps = 1000};
  const auto early = run_script(context, options);
  options.later = std::chrono::hours(100'000) + std::chrono::nanoseconds(12345);
  expect_same(context, early, run_script(context, options), "the same calls, all later by the same time");
}

void time_that_stands_or_goes_back(Context& context) {
  for (const int step : {0, -30, 1}) {
    const auto meddle = [step](Progress& progress) {
      progress.fleet.now = Time{} + std::chrono::hours(24) + std::chrono::seconds(step * progress.step);
    };
    const ScriptOptions options{.seed = 7, .steps = 800, .meddle = meddle};
    expect_same(context, run_script(context, options), run_script(context, options),
                "a clock that stands still or goes back");
  }
  Fleet fleet(context, 4);
  fleet.now = Time::max();
  fleet.observe({.kind = Event::Kind::stats, .replica = 0, .incarnation = 1, .waiting = 3, .stats_sequence = 1});
  fleet.spread(100, 1);
  fleet.now = Time::min();
  fleet.spread(100, 1000);
}

void objects_are_apart(Context& context) {
  const ScriptOptions options{.seed = context.random()(), .steps = 800};
  const auto alone = run_script(context, options);
  Fleet neighbour(context, 5);
  RequestId id = 0;
  ScriptOptions disturbed = options;
  disturbed.meddle = [&](Progress&) { neighbour.pick(++id); };
  expect_same(context, alone, run_script(context, disturbed), "alone, and beside another object that is busy");
}

constexpr Case determinism_rules[] = {
    {.id = "LB-70",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "two objects with the same options decide the same for the same calls",
     .rationale = "A run can be repeated and a decision explained; chance comes from what a balancer is given.",
     .body = two_objects},
    {.id = "LB-71",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "decisions do not depend on the thread that calls",
     .rationale = "The router's thread may change.",
     .body = another_thread},
    {.id = "LB-72",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "only differences of the times given count: a whole history moved in time is decided the same",
     .rationale = "A balancer has no clock of its own, and the clock's origin means nothing.",
     .body = another_origin_of_time},
    {.id = "LB-73",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title =
         "time may stand still, go back, or be at either end of its range: picks go on, and are the same when repeated",
     .rationale = "A virtual clock drives tests and simulations.",
     .body = time_that_stands_or_goes_back},
    {.id = "LB-74",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "two objects share nothing: one decides the same whatever another is told",
     .rationale = "A process may hold several routers.",
     .body = objects_are_apart},
};

}  // namespace

std::span<const Case> determinism_cases() { return determinism_rules; }

}  // namespace weft::conformance
