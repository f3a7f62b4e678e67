// Charges: what a pick puts on a replica, and what takes it off again. Seen only in balancers that weigh charges.
#include <fmt/format.h>

#include "tests/conformance/balancer/fleet.h"
#include "tests/conformance/balancer/groups.h"

namespace weft::conformance {
namespace {

constexpr ReplicaId watched = 2;
constexpr RequestId first_unseen = 100'000;  // ids of requests that were never seen before, from here on

// One that has no more than the others gets its share; one with far more gets none, or little.
void expect_free(Context& context, Fleet& fleet, const Trial& trial, int least, std::string_view after) {
  fleet.all();
  const int got = fleet.spread(trial.picks, first_unseen)[watched];
  context.expect(got >= least,
                 fmt::format("{}, replica {} got {} of {} picks among 4, expected at least {}: it is still "
                             "charged",
                             after, watched, got, trial.picks, least));
}

void expect_free(Context& context, Fleet& fleet, const Trial& trial, std::string_view after) {
  expect_free(context, fleet, trial, trial.free_least, after);
}

void expect_charged(Context& context, Fleet& fleet, const Trial& trial, ReplicaId replica, std::string_view otherwise) {
  fleet.all();
  const int got = fleet.spread(trial.picks, first_unseen)[replica];
  context.expect(got <= trial.charged_most, fmt::format("replica {} got {} of {} picks among 4, at most {}: {}",
                                                        replica, got, trial.picks, trial.charged_most, otherwise));
}

RequestId last_of(const Trial& trial) { return static_cast<RequestId>(trial.loaded); }

// The body of a rule.
template <void (*body)(Context&, const Trial&)>
void where_weighed(Context& context) {
  body(context, needs_weighing(context));
}

void finished_ends_it(Context& context, const Trial& trial) {
  Fleet fleet(context, 4);
  fleet.load(watched, trial.loaded, 1);
  for (RequestId id = 1; id <= last_of(trial); ++id)
    fleet.finished(id, watched);
  expect_free(context, fleet, trial, fmt::format("after {} requests finished", trial.loaded));
}

void finished_early_ends_it(Context& context, const Trial& trial) {
  Fleet fleet(context, 4);
  fleet.load(watched, trial.loaded, 1, 100, 10'000);
  for (RequestId id = 1; id <= last_of(trial); ++id) {
    fleet.observe(
        {.kind = Event::Kind::first_token, .replica = watched, .incarnation = 1, .request = id, .generated = 1});
    fleet.observe({.kind = Event::Kind::progress, .replica = watched, .incarnation = 1, .request = id, .generated = 5});
    fleet.finished(id, watched, 5);
  }
  expect_free(context, fleet, trial,
              fmt::format("after {} requests finished long before their max_tokens", trial.loaded));
}

void dropped_ends_it(Context& context, const Trial& trial) {
  Fleet fleet(context, 4);
  fleet.only(watched);
  for (RequestId id = 1; id <= last_of(trial); ++id) {
    const Ask ask{.id = id};
    fleet.pick(ask);
    if (id % 2 == 0) fleet.dispatched(ask, watched);
    fleet.dropped(id, watched);
  }
  expect_free(context, fleet, trial, fmt::format("after {} requests were dropped", trial.loaded));
}

void dropped_before_dispatch_ends_it(Context& context, const Trial& trial) {
  Fleet fleet(context, 4);
  fleet.only(watched);
  for (RequestId id = 1; id <= last_of(trial); ++id) {
    fleet.pick(id);
    fleet.observe({.kind = Event::Kind::dropped, .replica = -1, .request = id});
  }
  expect_free(context, fleet, trial, fmt::format("after {} picks were dropped with replica -1", trial.loaded));
}

void a_second_pick_moves_it(Context& context, const Trial& trial) {
  const auto move_all = [&trial](Fleet& fleet) {
    fleet.load(watched, trial.loaded, 1);
    fleet.only(0);
    for (RequestId id = 1; id <= last_of(trial); ++id)
      fleet.pick(id);
  };
  Fleet fleet(context, 4);
  move_all(fleet);
  expect_free(context, fleet, trial, trial.free_of_three,
              fmt::format("after {} requests were picked again, for another replica", trial.loaded));
  Fleet other(context, 4);
  move_all(other);
  expect_charged(context, other, trial, 0,
                 fmt::format("it is not charged with the {} requests that moved to it", trial.loaded));
}

void picks_of_one_id_charge_once(Context& context, const Trial& trial) {
  Fleet fleet(context, 4);
  fleet.only(watched);
  for (int i = 0; i < trial.loaded; ++i)
    fleet.pick(1);
  expect_free(context, fleet, trial, fmt::format("after {} picks of one request", trial.loaded));
}

void dispatched_confirms(Context& context, const Trial& trial) {
  Fleet fleet(context, {watched, 5});
  for (const ReplicaId id : {watched, ReplicaId{5}}) {
    fleet.only(id);
    for (RequestId i = 1; i <= last_of(trial) / 2; ++i) {
      const Ask ask{.id = static_cast<RequestId>(id) * 10'000 + i};
      fleet.pick(ask);
      for (int times = 0; id == watched && times < 3; ++times)
        fleet.dispatched(ask, id);
    }
  }
  fleet.all();
  const int got = fleet.spread(trial.picks, first_unseen)[watched];
  context.expect(
      got >= trial.half_least && got <= trial.picks - trial.half_least,
      fmt::format("of two replicas with {} equal picks each, the one where they were dispatched got {} of the "
                  "next {}, expected {} to {}",
                  trial.loaded / 2, got, trial.picks, trial.half_least, trial.picks - trial.half_least));
}

void left_ends_all(Context& context, const Trial& trial) {
  constexpr RequestId meanwhile = 50'000;
  Fleet fleet(context, 4);
  fleet.load(watched, trial.loaded, 1);
  fleet.leave(watched);
  context.expect(!fleet.spread(30, meanwhile).contains(watched), "a replica that left got a request");
  for (RequestId id = meanwhile; id < meanwhile + 30; ++id)
    for (const ReplicaId replica : {0, 1, 3})
      fleet.finished(id, replica);
  fleet.join(watched, 2);
  expect_free(context, fleet, trial, fmt::format("after it left with {} requests and came back", trial.loaded));
}

void a_new_incarnation_starts_empty(Context& context, const Trial& trial) {
  Fleet fleet(context, 4);
  fleet.load(watched, trial.loaded, 1);
  fleet.join(watched, 2);  // `left` was lost on the way
  expect_free(context, fleet, trial, "in its next incarnation");
  // The requests of the old one are picked again for others, and end there: nothing of the new one goes with them.
  Fleet moved(context, 4);
  moved.load(watched, trial.loaded, 1);
  moved.join(watched, 2);
  moved.load(watched, trial.loaded, 50'000);
  moved.load(0, trial.loaded, 1);
  for (RequestId id = 1; id <= last_of(trial); ++id)
    moved.finished(id, 0);
  expect_charged(context, moved, trial, watched,
                 "requests of the old incarnation, ended elsewhere, took charges off the new one");
}

void a_charge_holds_until_its_end(Context& context, const Trial& trial) {
  Fleet fleet(context, 4);
  fleet.load(watched, trial.loaded, 1, 100, 100);
  fleet.now += std::chrono::hours(10);
  expect_charged(context, fleet, trial, watched,
                 fmt::format("{} requests that have not ended are charged no more after ten hours of the clock given",
                             trial.loaded));
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
     .body = where_weighed<finished_ends_it>},
    {.id = "LB-21",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "finished ends the whole charge, also of a request that ended long before its max_tokens",
     .rationale = "Most requests end early; what is left over would grow for ever.",
     .body = where_weighed<finished_early_ends_it>},
    {.id = "LB-22",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "dropped ends a request's charge, dispatched or not",
     .rationale = "A request that could not be sent, or was cancelled, costs nothing.",
     .body = where_weighed<dropped_ends_it>},
    {.id = "LB-23",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "dropped with replica -1 ends the charge of a pick that was never dispatched, wherever it is",
     .rationale = "The router may give a request up without remembering the decision.",
     .body = where_weighed<dropped_before_dispatch_ends_it>},
    {.id = "LB-24",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a second pick for the same id moves the charge from the first replica to the second",
     .rationale = "A request is replayed elsewhere when its replica dies or refuses it.",
     .body = where_weighed<a_second_pick_moves_it>},
    {.id = "LB-25",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "any number of picks for one id charge it once",
     .rationale = "The router may ask again for a request that it could not send.",
     .body = where_weighed<picks_of_one_id_charge_once>},
    {.id = "LB-26",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "dispatched confirms a charge and adds none, however often it comes",
     .rationale = weighs,
     .body = where_weighed<dispatched_confirms>},
    {.id = "LB-27",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "left ends every charge of the replica",
     .rationale = "Its requests ended with it, or will be picked anew.",
     .body = where_weighed<left_ends_all>},
    {.id = "LB-28",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a replica that joins in a later incarnation starts with no charge, and what ends of the earlier one "
              "takes none from it",
     .rationale = "A launch empties the replica, also where `left` was never told.",
     .body = where_weighed<a_new_incarnation_starts_empty>},
    {.id = "LB-29",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a charge holds until an event ends it, however much time goes by",
     .rationale = "A long request is still there; time alone ends nothing.",
     .body = where_weighed<a_charge_holds_until_its_end>},
};

}  // namespace

std::span<const Case> charge_cases() { return charge_rules; }

}  // namespace weft::conformance
