// Charges: what a pick puts on a replica, and what takes it off again. Seen only in balancers that weigh charges.
#include <fmt/format.h>

#include "tests/conformance/balancer/fleet.h"
#include "tests/conformance/balancer/groups.h"

namespace weft::conformance {
namespace {

constexpr ReplicaId watched = 2;
constexpr int loaded = 20;

// Of eight picks among four replicas, one that has no more than the others gets two; one with far more gets none.
void expect_free(Context& context, Fleet& fleet, std::string_view after) {
  fleet.all();
  const int got = fleet.spread(8, 100'000)[watched];
  context.expect(got >= 1,
                 fmt::format("{}, replica {} got none of 8 picks among 4: it is still charged", after, watched));
}

void finished_ends_it(Context& context) {
  needs_weighing(context);
  Fleet fleet(context, 4);
  fleet.load(watched, loaded, 1);
  for (RequestId id = 1; id <= loaded; ++id)
    fleet.finished(id, watched);
  expect_free(context, fleet, "after 20 requests finished");
}

void finished_early_ends_it(Context& context) {
  needs_weighing(context);
  Fleet fleet(context, 4);
  fleet.load(watched, loaded, 1, 100, 10'000);
  for (RequestId id = 1; id <= loaded; ++id) {
    fleet.observe(
        {.kind = Event::Kind::first_token, .replica = watched, .incarnation = 1, .request = id, .generated = 1});
    fleet.observe({.kind = Event::Kind::progress, .replica = watched, .incarnation = 1, .request = id, .generated = 5});
    fleet.finished(id, watched, 5);
  }
  expect_free(context, fleet, "after 20 requests finished long before their max_tokens");
}

void dropped_ends_it(Context& context) {
  needs_weighing(context);
  Fleet fleet(context, 4);
  fleet.only(watched);
  for (RequestId id = 1; id <= loaded; ++id) {
    const Ask ask{.id = id};
    fleet.pick(ask);
    if (id % 2 == 0) fleet.dispatched(ask, watched);
    fleet.dropped(id, watched);
  }
  expect_free(context, fleet, "after 20 requests were dropped");
}

void dropped_before_dispatch_ends_it(Context& context) {
  needs_weighing(context);
  Fleet fleet(context, 4);
  fleet.only(watched);
  for (RequestId id = 1; id <= loaded; ++id) {
    fleet.pick(id);
    fleet.observe({.kind = Event::Kind::dropped, .replica = -1, .request = id});
  }
  expect_free(context, fleet, "after 20 picks were dropped with replica -1");
}

void a_second_pick_moves_it(Context& context) {
  needs_weighing(context);
  Fleet fleet(context, 4);
  fleet.load(watched, loaded, 1);
  fleet.only(0);
  for (RequestId id = 1; id <= loaded; ++id)
    fleet.pick(id);
  expect_free(context, fleet, "after 20 requests were picked again, for another replica");
  Fleet other(context, 4);
  other.load(watched, loaded, 1);
  other.only(0);
  for (RequestId id = 1; id <= loaded; ++id)
    other.pick(id);
  other.all();
  context.expect(other.spread(8, 100'000)[0] == 0, "the replica that 20 requests moved to is not charged with them");
}

void picks_of_one_id_charge_once(Context& context) {
  needs_weighing(context);
  Fleet fleet(context, 4);
  fleet.only(watched);
  for (int i = 0; i < loaded; ++i)
    fleet.pick(1);
  expect_free(context, fleet, "after 20 picks of one request");
}

void dispatched_confirms(Context& context) {
  needs_weighing(context);
  Fleet fleet(context, {watched, 5});
  for (const ReplicaId id : {watched, ReplicaId{5}}) {
    fleet.only(id);
    for (RequestId i = 1; i <= 10; ++i) {
      const Ask ask{.id = static_cast<RequestId>(id) * 100 + i};
      fleet.pick(ask);
      for (int times = 0; id == watched && times < 3; ++times)
        fleet.dispatched(ask, id);
    }
  }
  fleet.all();
  const auto counts = fleet.spread(8, 100'000);
  const int got = counts.contains(watched) ? counts.at(watched) : 0;
  context.expect(
      got >= 2 && got <= 6,
      fmt::format("of two replicas with 10 equal picks each, the one where they were dispatched got {} of the next 8",
                  got));
}

void left_ends_all(Context& context) {
  needs_weighing(context);
  Fleet fleet(context, 4);
  fleet.load(watched, loaded, 1);
  fleet.leave(watched);
  context.expect(!fleet.spread(30, 1000).contains(watched), "a replica that left got a request");
  for (RequestId id = 1000; id < 1030; ++id)
    for (const ReplicaId replica : {0, 1, 3})
      fleet.finished(id, replica);
  fleet.join(watched, 2);
  expect_free(context, fleet, "after it left with 20 requests and came back");
}

void a_new_incarnation_starts_empty(Context& context) {
  needs_weighing(context);
  Fleet fleet(context, 4);
  fleet.load(watched, loaded, 1);
  fleet.join(watched, 2);  // `left` was lost on the way
  expect_free(context, fleet, "in its next incarnation");
  // The requests of the old one are picked again for others, and end there: nothing of the new one goes with them.
  Fleet moved(context, 4);
  moved.load(watched, loaded, 1);
  moved.join(watched, 2);
  moved.load(watched, loaded, 500);
  moved.load(0, loaded, 1);
  for (RequestId id = 1; id <= loaded; ++id)
    moved.finished(id, 0);
  moved.all();
  context.expect(moved.spread(8, 100'000)[watched] == 0,
                 "requests of the old incarnation, ended elsewhere, took charges off the new one");
}

void a_charge_holds_until_its_end(Context& context) {
  needs_weighing(context);
  Fleet fleet(context, 4);
  fleet.load(watched, loaded, 1, 100, 100);
  fleet.now += std::chrono::hours(10);
  fleet.all();
  context.expect(fleet.spread(8, 100'000)[watched] == 0,
                 "20 requests that have not ended are charged no more after ten hours of the clock given");
}

constexpr const char* weighs =
    "Charges are how picks spread before any feedback. A balancer that does not weigh them is skipped.";

constexpr Case charge_rules[] = {
    {.id = "LB-20",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "finished ends a request's charge",
     .rationale = weighs,
     .body = finished_ends_it},
    {.id = "LB-21",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "finished ends the whole charge, also of a request that ended long before its max_tokens",
     .rationale = "Most requests end early; what is left over would grow for ever.",
     .body = finished_early_ends_it},
    {.id = "LB-22",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "dropped ends a request's charge, dispatched or not",
     .rationale = "A request that could not be sent, or was cancelled, costs nothing.",
     .body = dropped_ends_it},
    {.id = "LB-23",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "dropped with replica -1 ends the charge of a pick that was never dispatched, wherever it is",
     .rationale = "The router may give a request up without remembering the decision.",
     .body = dropped_before_dispatch_ends_it},
    {.id = "LB-24",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a second pick for the same id moves the charge from the first replica to the second",
     .rationale = "A request is replayed elsewhere when its replica dies or refuses it.",
     .body = a_second_pick_moves_it},
    {.id = "LB-25",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "any number of picks for one id charge it once",
     .rationale = "The router may ask again for a request that it could not send.",
     .body = picks_of_one_id_charge_once},
    {.id = "LB-26",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "dispatched confirms a charge and adds none, however often it comes",
     .rationale = weighs,
     .body = dispatched_confirms},
    {.id = "LB-27",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "left ends every charge of the replica",
     .rationale = "Its requests ended with it, or will be picked anew.",
     .body = left_ends_all},
    {.id = "LB-28",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a replica that joins in a later incarnation starts with no charge, and what ends of the earlier one "
              "takes none from it",
     .rationale = "A launch empties the replica, also where `left` was never told.",
     .body = a_new_incarnation_starts_empty},
    {.id = "LB-29",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a charge holds until an event ends it, however much time goes by",
     .rationale = "A long request is still there; time alone ends nothing.",
     .body = a_charge_holds_until_its_end},
};

}  // namespace

std::span<const Case> charge_cases() { return charge_rules; }

}  // namespace weft::conformance
