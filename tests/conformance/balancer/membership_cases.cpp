// Replicas that come and go.
#include <fmt/format.h>

#include "tests/conformance/balancer/groups.h"
#include "tests/conformance/balancer/script.h"

namespace weft::conformance {
namespace {

void a_newcomer_takes_part(Context& context) {
  Fleet fleet(context, 4);
  fleet.spread(400, 1);
  fleet.join(4, 1);
  const auto counts = fleet.spread(1000, 1000);
  context.expect(counts.contains(4), "a replica that joined got none of 1000 picks among 5");
  Fleet idle(context, 4);
  idle.join(4, 1);
  expect_spread(context, idle.spread(2000, 1), 5, "after a fifth joined an idle cluster");
}

void the_others_share(Context& context) {
  Fleet fleet(context, 12);
  fleet.spread(600, 1);
  // One after the other, neighbours: who inherits from one inherits from all.
  for (ReplicaId id = 2; id < 9; ++id) {
    fleet.leave(id);
    const auto counts = fleet.spread(1200, 1000 + 2000 * static_cast<RequestId>(id));
    context.expect(!counts.contains(id), "a replica that left got a request");
    expect_spread(context, counts, fleet.table.size(), fmt::format("after {} of 12 left", id - 1));
  }
}

void comes_and_goes(Context& context) {
  Fleet fleet(context, 5);
  auto& random = context.random();
  std::map<ReplicaId, std::int64_t> incarnations;
  RequestId next = 1;
  for (int round = 0; round < 300; ++round) {
    const auto id = static_cast<ReplicaId>(random() % 5);
    if (fleet.row(id) != nullptr && fleet.table.size() > 1)
      fleet.leave(id);
    else
      fleet.join(id, 2 + ++incarnations[id]);
    for (int i = 0; i < 10; ++i) {
      const Ask ask{.id = next++};
      fleet.dispatched(ask, fleet.pick(ask));
    }
  }
}

void a_late_left(Context& context) {
  Fleet fleet(context, 4);
  fleet.join(1, 2);
  fleet.observe({.kind = Event::Kind::left, .replica = 1, .incarnation = 1});
  const auto counts = fleet.spread(400, 1);
  context.expect(counts.contains(1),
                 "a replica in its second incarnation got nothing after `left` of its first came late");
  expect_spread(context, counts, 4, "after a late `left`");
  const std::optional<Trial> trial = trial_of_weighing(context);
  if (!trial) return;
  Fleet charged(context, 4);
  charged.join(1, 2);
  charged.load(1, trial->loaded, 1);
  charged.observe({.kind = Event::Kind::left, .replica = 1, .incarnation = 1});
  const int got = charged.spread(trial->picks, 100'000)[1];
  context.expect(
      got <= trial->charged_most,
      fmt::format("a late `left` took off what the present incarnation is charged: it got {} of {} picks, at "
                  "most {}",
                  got, trial->picks, trial->charged_most));
}

// Told again at once, and when there is much on the replica that it means.
void events_twice(Context& context) {
  const auto decisions = [&context](int times) {
    Fleet fleet(context, 4);
    std::vector<ReplicaId> made;
    for (RequestId id = 1; id <= 300; ++id) {
      for (const ReplicaView& row : fleet.table)
        if (times > 1 && id % 40 == 0)
          fleet.observe({.kind = Event::Kind::joined, .replica = row.id, .incarnation = row.incarnation});
      if (times > 1 && (id == 120 || id == 140))
        fleet.observe({.kind = Event::Kind::left, .replica = 3, .incarnation = 1});
      if (id == 100 || id == 200) {
        std::erase_if(fleet.table, [](const ReplicaView& row) { return row.id == 3; });
        for (int i = 0; i < times; ++i)
          fleet.observe({.kind = Event::Kind::left, .replica = 3, .incarnation = id == 100 ? 1 : 2});
      }
      if (id == 150) {
        fleet.join(3, 2);
        for (int i = 1; i < times; ++i)
          fleet.observe({.kind = Event::Kind::joined, .replica = 3, .incarnation = 2});
      }
      // Costs differ, so that a charge that was lost shows.
      made.push_back(fleet.pick({.id = id, .max_tokens = static_cast<std::int32_t>(1 + id * 37 % 300)}));
    }
    return made;
  };
  expect_same_picks(context, decisions(1), decisions(3), "each `joined` and `left` came more than once",
                    "let one that says what is known already change nothing");
}

constexpr Case membership_rules[] = {
    {.id = "LB-60",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a replica that joins takes part: it gets some of the next 1000 picks, and its share where all were idle",
     .rationale = "Scaling up must help.",
     .body = a_newcomer_takes_part},
    {.id = "LB-61",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "after a replica left it gets nothing and the others share evenly, also after seven of twelve",
     .rationale = "Its share must not fall to one neighbour.",
     .body = the_others_share},
    {.id = "LB-62",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "300 leaves and joins, each in a new incarnation, never bring a pick outside the table",
     .rationale = "Replicas crash and come back for as long as a cluster lives.",
     .body = comes_and_goes},
    {.id = "LB-63",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "left of an earlier incarnation, come late, does not touch the replica's present one, nor its charges",
     .rationale = "Supervision and links report by different roads.",
     .body = a_late_left},
    {.id = "LB-64",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "joined and left may come more than once, at once or later, and mean the same as once",
     .rationale = "A router repeats what it is not sure of.",
     .body = events_twice},
};

}  // namespace

std::span<const Case> membership_cases() { return membership_rules; }

}  // namespace weft::conformance
