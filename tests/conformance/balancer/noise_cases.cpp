// What a balancer is told and must not listen to: it decides as one that was not told.
#include <cmath>
#include <limits>

#include "tests/conformance/balancer/groups.h"
#include "tests/conformance/balancer/script.h"

namespace weft::conformance {
namespace {

constexpr double not_any_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinite = std::numeric_limits<double>::infinity();
constexpr std::int32_t most_tokens = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t incarnation = 3;  // the scripts' replicas'

Event stats_of(const Progress& progress) {
  const auto replica = static_cast<ReplicaId>(progress.step % 5);
  return {.kind = Event::Kind::stats,
          .replica = replica,
          .incarnation = incarnation,
          .waiting = 7,
          .running = 9,
          .pending_prefill_tokens = 4000,
          .kv_usage = 0.7,
          .stats_sequence = progress.stats_sequences[static_cast<std::size_t>(replica)] + 1};
}

void not_a_number(Context& context) {
  for (const double usage : {not_any_number, -not_any_number, infinite, -infinite})
    expect_ignored(
        context,
        [usage](Progress& progress) {
          Event event = stats_of(progress);
          event.kv_usage = usage;
          event.stats_sequence += 1'000'000;  // an event that is ignored says nothing of what came last either
          progress.fleet.observe(event);
        },
        "stats with a kv_usage that is no number");
}

void negative(Context& context) {
  for (int field = 0; field < 4; ++field)
    expect_ignored(
        context,
        [field](Progress& progress) {
          Event event = stats_of(progress);
          if (field == 0) event.waiting = progress.step % 2 == 0 ? -1 : std::numeric_limits<std::int32_t>::min();
          if (field == 1) event.running = -5;
          if (field == 2) event.pending_prefill_tokens = std::numeric_limits<std::int64_t>::min();
          if (field == 3) event.kv_usage = -0.1;
          event.stats_sequence += 1'000'000;
          progress.fleet.observe(event);
        },
        "stats with a negative figure");
}

// Both are told figures with a high sequence now and then; the second also what came before them, late, and twice.
void reordered(Context& context) {
  const auto calm = [](Progress& progress) {
    for (std::uint64_t& sequence : progress.stats_sequences)
      sequence = std::max<std::uint64_t>(sequence, 10);
    if (progress.step != 0) return;
    for (ReplicaId id = 0; id < 5; ++id) {
      Event event{.kind = Event::Kind::stats, .replica = id, .incarnation = incarnation, .waiting = id, .running = 2};
      event.stats_sequence = 10;
      progress.fleet.observe(event);
    }
  };
  for (const std::uint64_t back : {0U, 1U, 9U})
    expect_ignored(
        context,
        [back](Progress& progress) {
          Event event = stats_of(progress);
          event.stats_sequence = progress.stats_sequences[static_cast<std::size_t>(event.replica)] - back;
          progress.fleet.observe(event);
        },
        back == 0 ? "stats that come a second time" : "stats that come late", calm);
}

void unknown_requests(Context& context) {
  expect_ignored(
      context,
      [](Progress& progress) {
        // Each of a request of its own: what a dispatched does must not be undone by a finished right after it.
        for (const auto kind : {Event::Kind::dispatched, Event::Kind::first_token, Event::Kind::progress,
                                Event::Kind::finished, Event::Kind::dropped})
          progress.fleet.observe(
              {.kind = kind,
               .replica = static_cast<ReplicaId>(progress.step % 5),
               .incarnation = incarnation,
               .request = 1'000'000 + 100 * static_cast<RequestId>(progress.step % 40) + static_cast<RequestId>(kind),
               .prompt_tokens = 9000,
               .max_tokens = 9000,
               .generated = 3});
      },
      "events of requests that were never picked");
}

void ended_requests(Context& context) {
  expect_ignored(
      context,
      [](Progress& progress) {
        if (progress.ended.empty()) return;
        constexpr Event::Kind kinds[] = {Event::Kind::progress,    Event::Kind::finished, Event::Kind::dispatched,
                                         Event::Kind::first_token, Event::Kind::finished, Event::Kind::dropped};
        // All of one request, and one each of others.
        for (std::size_t i = 0; i < 2 * std::size(kinds); ++i) {
          const std::size_t which = static_cast<std::size_t>(progress.step) * 7 + (i < std::size(kinds) ? 0 : i);
          const Live& ended = progress.ended[which % progress.ended.size()];
          progress.fleet.observe({.kind = kinds[i % std::size(kinds)],
                                  .replica = ended.replica,
                                  .incarnation = incarnation,
                                  .request = ended.id,
                                  .prompt_tokens = 5000,
                                  .max_tokens = 5000,
                                  .generated = 1});
        }
      },
      "events of requests that have ended");
}

void old_incarnations(Context& context) {
  expect_ignored(
      context,
      [](Progress& progress) {
        if (progress.live.empty()) return;
        const Live& live = progress.live[static_cast<std::size_t>(progress.step) % progress.live.size()];
        for (const auto kind : {Event::Kind::dispatched, Event::Kind::progress, Event::Kind::finished,
                                Event::Kind::dropped, Event::Kind::stats, Event::Kind::joined, Event::Kind::left})
          progress.fleet.observe({.kind = kind,
                                  .replica = live.replica,
                                  .incarnation = incarnation - 1,
                                  .request = live.id,
                                  .prompt_tokens = 7000,
                                  .max_tokens = 7000,
                                  .generated = live.max_tokens,
                                  .waiting = 400,
                                  .running = 60,
                                  .pending_prefill_tokens = 90'000,
                                  .kv_usage = 0.9,
                                  .stats_sequence = 5'000'000 + static_cast<std::uint64_t>(progress.step)});
      },
      "events of an earlier incarnation");
}

void wrong_replica(Context& context) {
  expect_ignored(
      context,
      [](Progress& progress) {
        if (progress.live.empty()) return;
        const Live& live = progress.live[static_cast<std::size_t>(progress.step) % progress.live.size()];
        for (const auto kind : {Event::Kind::first_token, Event::Kind::progress, Event::Kind::finished})
          progress.fleet.observe({.kind = kind,
                                  .replica = (live.replica + 1) % 5,
                                  .incarnation = incarnation,
                                  .request = live.id,
                                  .generated = live.max_tokens});
      },
      "progress and ends told of another replica than the request's");
}

void replicas_that_are_not(Context& context) {
  expect_ignored(
      context,
      [](Progress& progress) {
        for (const ReplicaId replica : {-1, 999, most_tokens, std::numeric_limits<ReplicaId>::min()})
          for (const auto kind : {Event::Kind::stats, Event::Kind::left, Event::Kind::progress, Event::Kind::finished})
            progress.fleet.observe({.kind = kind,
                                    .replica = replica,
                                    .incarnation = incarnation,
                                    .request = progress.live.empty() ? 1 : progress.live.front().id,
                                    .generated = 400,
                                    .waiting = 3,
                                    .running = 3,
                                    .stats_sequence = static_cast<std::uint64_t>(progress.step + 1)});
      },
      "events of replicas that do not exist");
}

void unknown_kinds(Context& context) {
  expect_ignored(
      context,
      [](Progress& progress) {
        for (const int kind : {8, 9, 100, 255})
          progress.fleet.observe({.kind = static_cast<Event::Kind>(kind),
                                  .replica = static_cast<ReplicaId>(progress.step % 5),
                                  .incarnation = incarnation,
                                  .request = progress.live.empty() ? 1 : progress.live.front().id});
      },
      "events of a kind that a later Weft may have");
}

void backward_progress(Context& context) {
  expect_ignored(
      context,
      [](Progress& progress) {
        for (const Live& live : progress.live) {
          if (live.generated < 2) continue;
          for (const std::int32_t generated : {live.generated - 1, 0, -7, std::numeric_limits<std::int32_t>::min()})
            progress.fleet.observe({.kind = Event::Kind::progress,
                                    .replica = live.replica,
                                    .incarnation = incarnation,
                                    .request = live.id,
                                    .generated = generated});
        }
      },
      "progress that goes backwards or is negative");
}

void stale_stats(Context& context) {
  Fleet fleet(context, 4);
  for (ReplicaId id = 0; id < 4; ++id)
    fleet.observe({.kind = Event::Kind::stats,
                   .replica = id,
                   .incarnation = 1,
                   .waiting = id == 0 ? 0 : 100'000,  // more than all the picks to come
                   .running = 8,
                   .pending_prefill_tokens = id == 0 ? 0 : 50'000'000,
                   .stats_sequence = 1});
  for (ReplicaView& row : fleet.table)
    row.stats_at = fleet.now;
  fleet.now += std::chrono::hours(1);
  const auto counts = fleet.spread(10'000, 1);
  expect_spread(context, counts, 4, "10,000 picks an hour after the last stats, which praised one replica");
}

void a_storm(Context& context) {
  Fleet fleet(context, 3);
  auto& random = context.random();
  const auto wild = [&random]() -> std::int32_t {
    constexpr std::int32_t values[] = {0, -1, 1, most_tokens, std::numeric_limits<std::int32_t>::min(), 77};
    return values[random() % 6];
  };
  constexpr double usages[] = {not_any_number, -1, 2, infinite, 0.5};
  for (int i = 0; i < 20'000; ++i) {
    fleet.observe({.kind = static_cast<Event::Kind>(random() % 9),
                   .replica = wild() % 5,
                   .incarnation = static_cast<std::int64_t>(random() % 4) - 1,
                   .request = random() % 50,
                   .prompt_tokens = wild(),
                   .max_tokens = wild(),
                   .generated = wild(),
                   .waiting = wild(),
                   .running = wild(),
                   .pending_prefill_tokens = static_cast<std::int64_t>(random()),
                   .kv_usage = usages[random() % 5],
                   .stats_sequence = random() % 100});
    for (ReplicaView& row : fleet.table)
      row = {.id = row.id,
             .incarnation = 1,
             .eligible = true,
             .in_flight = wild(),
             .capacity = wild(),
             .waiting = wild(),
             .running = wild(),
             .kv_usage = usages[random() % 5]};
    fleet.pick({.id = random() % 50, .prompt = wild(), .max_tokens = wild()});
  }
}

constexpr const char* same = "Compared with a second object that was not told: every decision is equal.";

constexpr Case noise_rules[] = {
    {.id = "LB-40",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "stats with a NaN or an infinite figure are ignored, their sequence number too",
     .rationale = same,
     .body = not_a_number},
    {.id = "LB-41",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "stats with a negative figure are ignored, their sequence number too",
     .rationale = same,
     .body = negative},
    {.id = "LB-42",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "stats that come twice, or after later ones of the same incarnation, are ignored",
     .rationale = same,
     .body = reordered},
    {.id = "LB-43",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "events of requests that were never picked are ignored",
     .rationale = same,
     .body = unknown_requests},
    {.id = "LB-44",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "events of requests that have ended are ignored, a second end and a late dispatched too",
     .rationale = same,
     .body = ended_requests},
    {.id = "LB-45",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "events of an earlier incarnation of a replica are ignored, whatever their kind",
     .rationale = same,
     .body = old_incarnations},
    {.id = "LB-46",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "progress and finished of a request, told of another replica than it is on, are ignored",
     .rationale = "After a replay the first replica may still report.",
     .body = wrong_replica},
    {.id = "LB-47",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "stats, left, progress and finished of replicas that never joined or have negative ids are ignored",
     .rationale = same,
     .body = replicas_that_are_not},
    {.id = "LB-48",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "events of an unknown kind are ignored",
     .rationale = "A later router may have more of them.",
     .body = unknown_kinds},
    {.id = "LB-49",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "progress that goes backwards, or is negative, is ignored",
     .rationale = same,
     .body = backward_progress},
    {.id = "LB-50",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "stats that are an hour old steer nothing for ever: 10,000 picks after them still spread",
     .rationale = "A leader that has gone silent is not an idle one.",
     .body = stale_stats},
    {.id = "LB-51",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "20,000 events of random junk, and rows with impossible figures, never bring a wrong pick or an error",
     .rationale = "Everything that comes from another process is hostile.",
     .body = a_storm},
};

}  // namespace

std::span<const Case> noise_cases() { return noise_rules; }

}  // namespace weft::conformance
