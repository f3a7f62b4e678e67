// What a balancer costs the process that it lives in.
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <filesystem>

#include "tests/conformance/balancer/fleet.h"
#include "tests/conformance/balancer/groups.h"
#include "tests/conformance/harness/sanitizer.h"

namespace weft::conformance {
namespace {

// CPU time of this thread: other processes do not count.
std::int64_t cpu_nanoseconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

void picks_quickly(Context& context) {
  Fleet fleet(context, 1000);
  std::vector<std::int64_t> times;
  for (RequestId id = 1; id <= 5000; ++id) {
    const RequestView request{.id = id, .prompt_tokens = 100, .max_tokens = 100, .block_hashes = {}, .affinity = {}};
    const std::int64_t before = cpu_nanoseconds();
    const auto decision = (*fleet).pick(request, {.replicas = fleet.table}, fleet.now);
    times.push_back(cpu_nanoseconds() - before);
    context.expect(decision.has_value(), "a pick failed");
  }
  std::sort(times.begin(), times.end());
  const auto p99 = static_cast<double>(times[times.size() * 99 / 100]) / 1000;
  const double limit = 1000 * context.profile().limit("time_scale");
  context.note(fmt::format("p50 {:.1f} us, p99 {:.1f} us", static_cast<double>(times[times.size() / 2]) / 1000, p99));
  context.expect(p99 <= limit,
                 fmt::format("p99 of a pick among 1000 replicas is {:.0f} us, at most {:.0f}", p99, limit));
}

void expect_no_growth(Context& context, std::int64_t before, std::string_view what) {
  const std::int64_t grown = heap_bytes_in_use() - before;
  context.note(fmt::format("{} bytes more in use", grown));
  context.expect(grown <= 512 * 1024, fmt::format("{} left {} bytes in use, at most 524288", what, grown));
}

void ended_requests_leave_nothing(Context& context) {
  Fleet fleet(context, 8);
  RequestId next = 1;
  const auto serve = [&](int count) {
    for (int i = 0; i < count; ++i) {
      const Ask ask{.id = next++, .affinity = next % 2 == 0 ? "a user" : ""};
      const ReplicaId replica = fleet.pick(ask);
      if (next % 5 == 0) {
        fleet.dropped(ask.id, replica);
        continue;
      }
      fleet.dispatched(ask, replica);
      fleet.observe(
          {.kind = Event::Kind::first_token, .replica = replica, .incarnation = 1, .request = ask.id, .generated = 1});
      fleet.finished(ask.id, replica);
      fleet.now += std::chrono::milliseconds(1);
    }
  };
  serve(20'000);
  const std::int64_t before = heap_bytes_in_use();
  serve(100'000);
  expect_no_growth(context, before, "100,000 requests that have ended");
}

void junk_leaves_nothing(Context& context) {
  Fleet fleet(context, 4);
  const auto talk = [&](RequestId from, int count) {
    for (RequestId id = from; id < from + static_cast<RequestId>(count); ++id)
      for (const auto kind : {Event::Kind::dispatched, Event::Kind::progress, Event::Kind::finished, Event::Kind::stats,
                              Event::Kind::left})
        fleet.observe(
            {.kind = kind,
             .replica = kind == Event::Kind::stats || kind == Event::Kind::left ? static_cast<ReplicaId>(100 + id) : 0,
             .incarnation = 1,
             .request = 8 * id + static_cast<RequestId>(kind),  // nothing that one left is taken away by the next
             .prompt_tokens = 10,
             .max_tokens = 10,
             .generated = 1,
             .stats_sequence = id});
  };
  talk(1, 1000);
  const std::int64_t before = heap_bytes_in_use();
  talk(10'000, 50'000);
  expect_no_growth(context, before, "250,000 events of unknown requests and replicas");
}

void incarnations_leave_nothing(Context& context) {
  Fleet fleet(context, 4);
  RequestId next = 1;
  const auto cycle = [&](std::int64_t from, int count) {
    for (std::int64_t incarnation = from; incarnation < from + count; ++incarnation) {
      fleet.join(1, incarnation);
      const Ask ask{.id = next++};
      fleet.dispatched(ask, fleet.pick(ask));
      fleet.load(1, 1, next++);
      for (ReplicaId other : {0, 2, 3})
        fleet.finished(ask.id, other);
      fleet.observe({.kind = Event::Kind::left, .replica = 1, .incarnation = incarnation});
    }
  };
  cycle(2, 500);
  const std::int64_t before = heap_bytes_in_use();
  cycle(1000, 20'000);
  expect_no_growth(context, before, "20,000 incarnations of a replica");
}

std::size_t threads() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/task"))
    ++count;
  return count;
}

void has_no_threads(Context& context) {
  context.plugin();
  const std::size_t before = threads();
  Fleet fleet(context, 8);
  fleet.spread(1000, 1);
  context.expect(threads() == before, fmt::format("{} threads, {} before there was a balancer", threads(), before));
  context.expect(context.host().lines().size() <= 10, "a balancer that logs a line a pick: the router does");
}

constexpr Case cost_rules[] = {
    {.id = "LB-90",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "among 1000 replicas the 99th percentile of a pick is at most a millisecond of CPU time, times the "
              "profile's time_scale",
     .rationale = "Every request waits for it, one after the other. The figure itself is in the report.",
     .body = picks_quickly},
    {.id = "LB-91",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "memory does not grow with requests that have ended: 100,000 of them leave at most 512 KiB",
     .rationale = "A cluster lives for months.",
     .body = ended_requests_leave_nothing},
    {.id = "LB-92",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "memory does not grow with events of unknown requests and replicas: 250,000 leave at most 512 KiB",
     .rationale = "What is ignored is not remembered.",
     .body = junk_leaves_nothing},
    {.id = "LB-93",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "memory does not grow with a replica's incarnations: 20,000 leave at most 512 KiB",
     .rationale = "A replica that crashes in a loop must not take the router along.",
     .body = incarnations_leave_nothing},
    {.id = "LB-94",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a balancer starts no thread and does not log a line a pick",
     .rationale = "Decisions are pure; the router logs them.",
     .body = has_no_threads},
};

}  // namespace

std::span<const Case> balancer_cost_cases() { return cost_rules; }

}  // namespace weft::conformance
