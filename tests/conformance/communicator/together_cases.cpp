// Several groups, several threads, and time.
#include <fmt/format.h>

#include <cstring>
#include <ctime>
#include <fstream>
#include <span>

#include "tests/conformance/communicator/calls.h"
#include "tests/conformance/communicator/groups.h"

namespace weft::conformance {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

GroupSpec part_of(const Rank& rank, std::string id, std::int32_t position, std::int32_t size) {
  GroupSpec spec = rank.spec(std::move(id));
  spec.rank = position;
  spec.size = size;
  spec.members.clear();
  return spec;
}

// Rows, columns and all: tensor, pipeline and data groups of one process.
void overlapping_groups(Context& context) {
  World world(context);
  world.run(4, [&](Rank& rank) {
    const std::int32_t row = rank.index / 2;
    const std::int32_t column = rank.index % 2;
    auto rows = rank.open(part_of(rank, fmt::format("row/{}", row), column, 2));
    auto columns = rank.open(part_of(rank, fmt::format("column/{}", column), row, 2));
    auto all = rank.open(part_of(rank, "all", rank.index, 4));
    const auto sum = [&](Group& group, std::int32_t value, std::int32_t expected, const char* what) {
      const Guarded memory(sizeof(value));
      memory.fill(std::as_bytes(std::span(&value, 1)));
      rank.finish(group.all_reduce(memory.buffer(), DType::i32, ReduceOp::sum, {}), what);
      std::memcpy(&value, memory.buffer().data, sizeof(value));
      context.expect(memory.intact(), fmt::format("the sum of {}: memory before or after it was written", what));
      context.expect(value == expected, fmt::format("the sum of {} is {:#x}, expected {:#x}", what, value, expected));
    };
    for (int round = 0; round < 50; ++round) {
      sum(*rows, 1 << rank.index, 3 << (2 * row), "a row");
      sum(*columns, 1 << rank.index, 5 << column, "a column");
      sum(*all, 1 << rank.index, 15, "all");
    }
    rank.close(rows);
    perform(rank, *columns, {.type = DType::f32, .count = 5000});
    perform(rank, *all, {.collective = Collective::all_to_all, .type = DType::f32, .count = 500});
    rank.close(columns);
    rank.close(all);
  });
}

// Threads of one process, each with a group of its own over the same ranks.
void groups_in_threads(Context& context) {
  World world(context);
  world.run(2, [&](Rank& rank) {
    context.run_threads(4, [&](int thread) {
      for (int turn = 0; turn < 3; ++turn) {
        auto group = rank.open(part_of(rank, fmt::format("thread/{}/{}", thread, turn), rank.index, 2));
        for (std::uint64_t round = 0; round < 10; ++round)
          perform(rank, *group,
                  {.collective = round % 2 == 0 ? Collective::all_reduce : Collective::message,
                   .type = DType::f32,
                   .count = 20'000,
                   .salt = round + static_cast<std::uint64_t>(thread) * 100});
        rank.close(group);
      }
    });
  });
  world.expect_no_keys("after groups in threads");
}

void ranks_in_threads(Context& context) {
  World world(context);
  world.run(
      4,
      [&](Rank& rank) {
        auto group = rank.open("threads/1");
        std::uint64_t salt = 0;
        for (const Collective collective :
             {Collective::all_reduce, Collective::all_gather, Collective::reduce_scatter, Collective::broadcast,
              Collective::all_to_all, Collective::all_to_all_v, Collective::message})
          for (const std::size_t count : {1U, 1001U, 50'001U})
            perform(rank, *group,
                    {.collective = collective, .type = DType::bf16, .count = count, .root = 2, .salt = ++salt});
        rank.finish(group->barrier({}), "barrier");
        rank.close(group);
      },
      World::As::threads);
  world.expect_no_keys("after ranks in threads");
}

void begun_before_the_last_was_waited_for(Context& context) {
  World world(context);
  world.run(3, [&](Rank& rank) {
    auto group = rank.open("pipelined/1");
    constexpr std::size_t operations = 12;
    std::vector<Guarded> memory;
    std::vector<Work> works;
    memory.reserve(operations);
    const auto value = [](std::int32_t position, std::size_t at) {
      return static_cast<double>((position + 1) * 100) + static_cast<double>(at);
    };
    for (std::size_t at = 0; at < operations; ++at) {
      memory.emplace_back(4000);
      for (std::size_t element = 0; element < 1000; ++element)
        put(memory[at].bytes().data() + element * 4, DType::i32, value(rank.index, at));
      works.push_back(context.take(at % 3 == 2 ? group->broadcast(memory[at].buffer(), DType::i32, 1, {})
                                               : group->all_reduce(memory[at].buffer(), DType::i32, ReduceOp::sum, {}),
                                   "an operation begun before the last was waited for"));
    }
    // Waited for from the last to the first.
    for (std::size_t at = operations; at-- > 0;) {
      context.expect_ok(works[at].wait(patience(context)), "wait");
      const double expected = at % 3 == 2 ? value(1, at) : value(0, at) + value(1, at) + value(2, at);
      for (std::size_t element = 0; element < 1000; ++element)
        context.expect(get(memory[at].bytes().data() + element * 4, DType::i32) == expected,
                       fmt::format("operation {} of {} gave a wrong result", at, operations));
    }
    rank.close(group);
  });
}

double cpu_seconds() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

// How long the calling thread has run or stood ready to run: on a machine that is busy with others a thread that never sleeps gets
// little of a CPU, but is ready all the time. 0 where the kernel does not count it.
double ready_seconds() {
  std::ifstream file("/proc/thread-self/schedstat");
  double ran = 0;
  double waited = 0;
  file >> ran >> waited;
  return (ran + waited) * 1e-9;
}

void a_long_wait_sleeps(Context& context) {
  const double most = context.profile().limit("waiting_cpu");
  World world(context);
  world.run(
      2,
      [&](Rank& rank) {
        auto group = rank.open("patient/1");
        const Guarded memory(64);
        rank.finish(group->barrier({}), "barrier");
        for (const bool message : {false, true}) {
          if (rank.index == 1) rank.mark_within("never", milliseconds(1200));  // the other waits meanwhile
          const double used = cpu_seconds();
          const double ready = ready_seconds();
          const Time began = Clock::now();
          if (!message)
            rank.finish(group->barrier({}), "barrier");
          else if (rank.index == 0)
            rank.finish(group->recv(memory.buffer(), DType::u8, 1, 0, {}), "recv");
          else
            rank.finish(group->send(memory.buffer(), DType::u8, 0, 0, {}), "send");
          if (rank.index == 1) continue;
          const double took = std::chrono::duration<double>(Clock::now() - began).count();
          const double share = (cpu_seconds() - used) / took;
          context.expect(
              (ready_seconds() - ready) / took < 0.9,
              fmt::format("a thread that waited {:.2f} s in a {} never slept", took, message ? "recv" : "barrier"));
          context.expect(share <= most,
                         fmt::format("a {} that waited {:.2f} s took {:.0f}% of a CPU, expected {:.0f}% at most "
                                     "(the profile's limit waiting_cpu)",
                                     message ? "recv" : "barrier", took, share * 100, most * 100));
        }
        rank.close(group);
      },
      World::As::processes);
}

// The same calls on every rank, drawn from the case's seed.
void random_operations(Context& context, std::int32_t ranks, Duration length) {
  World world(context);
  world.run(ranks, [&](Rank& rank) {
    std::mt19937_64 random = context.random();  // a copy each: all draw the same
    const Deadline deadline = Deadline::in(length).earlier(context.deadline());
    std::uint64_t calls = 0;
    for (std::uint64_t group_number = 0;; ++group_number) {
      auto group = rank.open(fmt::format("soak/{}", group_number));
      const std::uint64_t in_this_group = 20 + random() % 200;
      for (std::uint64_t number = 0; number < in_this_group; ++number, ++calls) {
        Call call{.collective = static_cast<Collective>(random() % 7),
                  .type = all_types[random() % std::size(all_types)],
                  .op = all_ops[random() % std::size(all_ops)]};
        call.count = random() % (random() % 8 == 0 ? 100'000 : 2000);
        call.offset = random() % 8;
        call.allocated = random() % 4 == 0;
        call.root = static_cast<std::int32_t>(random() % static_cast<std::uint64_t>(ranks));
        call.tag = static_cast<std::uint32_t>(random() % 65536);
        call.salt = random();
        call.values = random() % 2 == 0 ? Values::wide : Values::exact;
        perform(rank, *group, call);
      }
      rank.close(group);
      // Rank 0 says when it is enough, so that all end after the same group.
      std::atomic<std::uint64_t>& last = rank.board.cell[0];
      if (rank.index == 0 && deadline.passed()) last = 1;
      rank.meet(fmt::format("closed/{}", group_number));
      if (last != 0) break;
    }
    if (rank.index == 0) rank.board.cell[1] = calls;
  });
  context.note(fmt::format("{} calls by {} ranks", world.board().cell[1].load(), ranks));
}

void soak(Context& context) { random_operations(context, 4, seconds(120)); }
void short_soak(Context& context) { random_operations(context, 3, seconds(1)); }

constexpr Case together_rules[] = {
    {.id = "CM-91",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "groups may overlap, and one may close while the others work on",
     .rationale = "A rank is in a tensor, a pipeline and a data group.",
     .body = overlapping_groups,
     .limit = seconds(60)},
    {.id = "CM-92",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "threads of one process may open, use and close groups of their own at once",
     .rationale = "There is no process-global state.",
     .body = groups_in_threads,
     .limit = seconds(60)},
    {.id = "CM-93",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "the ranks of a group may be threads of one process, also over one communicator object",
     .rationale = "It is how they run under a thread sanitizer, and in an executor of one process.",
     .body = ranks_in_threads,
     .limit = seconds(60)},
    {.id = "CM-94",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "an operation may begin before the last was waited for, and they may be waited for in any order",
     .rationale =
         "Work done meanwhile hides the network. Progress is promised while the rank is in a call of the group.",
     .body = begun_before_the_last_was_waited_for,
     .limit = seconds(60)},
    {.id = "CM-95",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a rank that waits long leaves the CPU to others: at most a fifth of one in a second",
     .rationale =
         "Ranks share cores with others' threads. The profile's limit \"waiting_cpu\" stands in for the fifth.",
     .body = a_long_wait_sleeps,
     .limit = seconds(60)},
    {.id = "CM-96",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "random operations in one group after the other are right for a second",
     .rationale = "Orders that no other case has. The seed is printed.",
     .body = short_soak,
     .limit = seconds(60)},
    {.id = "CM-97",
     .level = Level::soak,
     .needs = "",
     .since = "1",
     .title = "random operations of four ranks are right for two minutes",
     .rationale = "Rare orders of events.",
     .body = soak,
     .limit = seconds(300)},
};

}  // namespace

std::span<const Case> together_cases() { return together_rules; }

}  // namespace weft::conformance
