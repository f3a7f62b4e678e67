// The end of groups, and what is left of them.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>

#include "tests/conformance/communicator/calls.h"
#include "tests/conformance/communicator/groups.h"
#include "tests/conformance/communicator/leftovers.h"
#include "tests/conformance/plugin/footprint.h"

namespace weft::conformance {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

void close_may_be_called_again(Context& context) {
  World world(context);
  world.run(2, [&](Rank& rank) {
    for (const bool works : {true, false}) {
      auto group = rank.open(fmt::format("close/{}", works));
      if (works) perform(rank, *group, {.type = DType::f32, .count = 100});
      for (int turn = 0; turn < 3; ++turn)
        context.expect_ok(group->close(patience(context)), fmt::format("close number {}", turn + 1));
      group->abort({ErrorCode::cancelled, "after close"});
      context.expect_ok(group->close(patience(context)), "close after abort");
    }
  });
  world.expect_no_keys("after every rank has closed");
}

void calls_after_close(Context& context) {
  World world(context);
  world.run(2, [&](Rank& rank) {
    auto group = rank.open("closed/1");
    const Guarded memory(64);
    const Buffer all = memory.buffer();
    Work finished = context.take(group->barrier({}), "barrier");
    context.expect_ok(finished.wait(patience(context)), "barrier");
    context.expect_ok(group->close(patience(context)), "close");
    const auto expect = [&](const auto& result, const char* what) {
      context.expect_error(result, ErrorCode::failed_precondition, what);
    };
    expect(group->barrier({}), "barrier after close");
    expect(group->all_reduce(all, DType::f32, ReduceOp::sum, {}), "all_reduce after close");
    expect(group->broadcast(all, DType::f32, 0, {}), "broadcast after close");
    expect(group->send(all, DType::f32, 1 - rank.index, 0, {}), "send after close");
    expect(group->recv(all, DType::f32, 1 - rank.index, 0, {}), "recv after close");
    expect(group->allocate(64), "allocate after close");
    context.expect(finished.done(), "a Work that was done is not after close");
    context.expect(group->rank() == rank.index && group->size() == 2, "rank() or size() have changed with close");
  });
}

void close_ends_what_is_pending(Context& context) {
  World world(context);
  world.run(2, [&](Rank& rank) {
    auto group = rank.open("pending/1");
    const Guarded memory(4096);
    if (rank.index == 0) {
      Work taken = context.take(group->recv(memory.buffer(), DType::u8, 1, 0, {}), "recv");
      const Time began = Clock::now();
      (void)group->close(Deadline::in(rank.scaled(seconds(1))));
      context.expect(Clock::now() - began < rank.scaled(seconds(3)),
                     "close with a pending recv took over three seconds");
      context.expect(!taken.wait(Deadline::in(rank.scaled(seconds(1)))), "a recv that close cut off is ok");
      context.expect(taken.done(), "a recv that close cut off is not done");
      rank.mark("closed");
    } else {
      rank.await("closed");
      (void)group->close(Deadline::in(rank.scaled(seconds(1))));
    }
  });
}

void the_destructor_closes(Context& context) {
  World world(context);
  world.run(
      2,
      [&](Rank& rank) {
        rank.open("first/1").reset();  // what a library makes once is made now
        rank.meet("before");
        const Holdings before = look_at_holdings();
        auto group = rank.open("dropped/1");
        perform(rank, *group, {.type = DType::f32, .count = 100, .allocated = true});
        rank.meet("used");
        const Time began = Clock::now();
        group.reset();
        context.expect(Clock::now() - began < rank.scaled(seconds(3)), "the destructor took over three seconds");
        expect_no_more(context, before, "after a group was destroyed that nobody had closed");
      },
      World::As::processes);
  world.expect_no_keys("after every rank has destroyed its group");
}

void keys_are_the_groups_own(Context& context) {
  World world(context);
  world.run(3, [&](Rank& rank) {
    auto group = rank.open("keys/of/7");
    perform(rank, *group, {.type = DType::f32, .count = 100});
    rank.meet("open");
    for (const std::string& key : context.take(rank.store.list("", patience(context)), "list"))
      context.expect(key.starts_with("case/") || key.starts_with("group/keys/of/7/"),
                     fmt::format("the key '{}' does not begin with 'group/<id>/'", key));
    rank.meet("seen");
    rank.close(group);
    rank.meet("closed");
    const auto left = context.take(rank.store.list("group/", patience(context)), "list");
    context.expect(left.empty(), fmt::format("after close '{}' is left in the store", left.empty() ? "" : left[0]));
  });
}

void an_id_serves_again(Context& context) {
  World world(context);
  world.run(2, [&](Rank& rank) {
    for (int turn = 0; turn < 5; ++turn) {
      auto group = rank.open("same/1");
      perform(rank, *group, {.type = DType::f32, .count = 1000, .salt = static_cast<std::uint64_t>(turn)});
      rank.close(group);
      rank.meet(fmt::format("closed/{}", turn));  // an id is unique while its group lives
    }
  });
}

GroupSpec pair_of(const Rank& rank, std::string id, std::int32_t position) {
  GroupSpec spec = rank.spec(std::move(id));
  spec.rank = position;
  spec.size = 2;
  spec.members.clear();
  spec.deadline = Deadline::in(rank.scaled(seconds(8)));
  return spec;
}

// Until the store has a key that begins so, which its owner does not tell; or a while, of a communicator without keys.
void await_keys(const Rank& rank, const std::string& prefix) {
  const Deadline deadline = Deadline::in(rank.scaled(seconds(1)));
  while (!deadline.passed() && rank.context.take(rank.store.list(prefix, patience(rank.context)), "list").empty())
    rank.mark_within("never", milliseconds(5));
}

// Ranks 0 and 1 close their group while rank 2 waits in another, whose keys begin with the first's id.
void an_end_takes_no_other_keys(Context& context) {
  World world(context);
  world.run(4, [&](Rank& rank) {
    for (const std::string inner : {"tp/1/inner", "tp/10"}) {
      const std::string done = inner + " is done";
      if (rank.index < 2) {
        auto outer = rank.open(pair_of(rank, "tp/1", rank.index));
        perform(rank, *outer, {.type = DType::f32, .count = 100});
        await_keys(rank, "group/" + inner + "/");
        rank.close(outer);
        rank.mark(fmt::format("{}/{}", inner, rank.index));
      } else {
        if (rank.index == 3) {
          rank.await(inner + "/0");
          rank.await(inner + "/1");
        }
        auto group = rank.open(pair_of(rank, inner, rank.index - 2));
        perform(rank, *group, {.type = DType::f32, .count = 100});
        rank.close(group);
      }
      rank.meet(done);
    }
  });
}

// Two groups of two ranks each: one of them ends while the other, whose id begins with the first's, is open.
void ends_leave_other_groups_alone(Context& context) {
  an_end_takes_no_other_keys(context);
  World world(context);
  world.run(2, [&](Rank& rank) {
    auto outer = rank.open("tp/1");
    auto inner = rank.open("tp/1/inner");
    auto other = rank.open("tp/10");
    perform(rank, *outer, {.type = DType::f32, .count = 100});
    rank.close(outer);
    rank.meet("closed");
    perform(rank, *inner, {.type = DType::f32, .count = 5000, .salt = 1});
    perform(rank, *other, {.type = DType::f32, .count = 5000, .salt = 2});
    rank.close(inner);
    rank.close(other);
  });
  world.expect_no_keys("after three groups whose ids begin alike");
}

// At most `allowed` of them: what others on the machine leave at the same time. What is found is removed, so that the machine is as it
// was.
void expect_no_orphans(const Context& context, const std::vector<std::string>& before, std::size_t allowed) {
  const auto orphans = orphaned_since(before);
  if (orphans.size() <= allowed) return;
  for (const std::string& file : orphans)
    ::unlink(file.c_str());
  context.fail(fmt::format("files are left that nobody uses: {}", fmt::join(orphans, ", ")));
}

void a_hundred_groups_leave_nothing(Context& context) {
  constexpr int rounds = 100;
  constexpr std::size_t allowed = std::size_t{1} << 20;  // bytes: caches of the allocator's
  const std::vector<std::string> files = shared_memory_files();
  World world(context);
  world.run(
      2,
      [&](Rank& rank) {
        const auto round = [&](int number) {
          auto group = rank.open(fmt::format("round/{}", number));
          perform(rank, *group, {.type = DType::f32, .count = 2000, .allocated = true});
          perform(rank, *group, {.collective = Collective::message, .type = DType::u8, .count = 5000});
          if (number % 3 != 0) return rank.close(group);
          rank.meet(fmt::format("used/{}", number));
          group.reset();
        };
        for (int number = 0; number < 10; ++number)
          round(number);
        rank.meet("warm");
        const Holdings before = look_at_holdings();
        const std::vector<std::string> mapped = shared_mappings();
        const std::size_t bytes = allocated_bytes();
        for (int number = 10; number < 10 + rounds; ++number)
          round(number);
        rank.meet("done");
        expect_no_more(context, before, fmt::format("after {} groups", rounds));
        const std::vector<std::string> now = shared_mappings();
        context.expect(now.size() <= mapped.size(),
                       fmt::format("after {} groups shared memory is mapped: {}", rounds, fmt::join(now, ", ")));
        const std::size_t more = allocated_bytes();
        context.expect(more <= bytes + allowed, fmt::format("{} groups hold {} bytes", rounds, more - bytes));
      },
      World::As::processes);
  world.expect_no_keys("after a hundred groups");
  expect_no_orphans(context, files, rounds / 10);
}

void a_killed_rank_leaves_no_segment(Context& context) {
  const std::vector<std::string> files = shared_memory_files();
  World world(context);
  for (std::int32_t index = 0; index < 3; ++index)
    world.start(index, 3, [&](Rank& rank) {
      auto group = rank.open("segments/1");
      perform(rank, *group, {.type = DType::f32, .count = 100'000, .allocated = true});
      rank.meet("used");
      rank.await(rank.index == 1 ? "never" : "killed");
      (void)group->close(Deadline::in(rank.scaled(seconds(2))));
    });
  world.await("used");
  world.kill(1);
  world.mark("killed");
  world.finish();
  expect_no_orphans(context, files, 0);
}

void a_work_is_a_ticket(Context& context) {
  World world(context);
  world.run(2, [&](Rank& rank) {
    Work none;
    context.expect(none.done() && none.wait(Deadline::in(Duration::zero())), "a default Work is not done");
    auto group = rank.open("tickets/1");
    const Guarded memory(4000);
    Work first = context.take(group->all_reduce(memory.buffer(), DType::f32, ReduceOp::sum, {}), "all_reduce");
    Work second = context.take(group->barrier({}), "barrier");
    const Deadline deadline = Deadline::in(rank.scaled(seconds(5)));
    while (!second.done() && !deadline.passed())
      std::this_thread::yield();
    context.expect(second.done(), "done() of a barrier that every rank has come to is never true");
    for (int turn = 0; turn < 3; ++turn) {
      context.expect_ok(second.wait(deadline), fmt::format("wait number {}", turn + 1));
      context.expect_ok(first.wait(deadline), "wait for the operation before");
      context.expect(first.done() && second.done(), "a Work that was waited for is not done");
    }
    const Work copy = second;  // NOLINT: a ticket is a value
    context.expect_ok(Work(copy).wait(Deadline::in(Duration::zero())), "wait of a copy, without time");
    rank.close(group);
  });
}

void unknown_interfaces(Context& context) {
  World world(context);
  world.run(1, [&](Rank& rank) {
    auto group = rank.open("query/1");
    for (const std::string_view id : {"weft.test/nothing", ""})
      context.expect(group->query(id) == nullptr && rank.communicator.query(id) == nullptr,
                     fmt::format("query() found an interface of the name '{}'", id));
    perform(rank, *group, {.type = DType::f32, .count = 10});
    rank.close(group);
  });
}

constexpr Case closing_rules[] = {
    {.id = "CM-80",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "close is ok, also of a group that did nothing, also again, also after abort",
     .rationale = "Whoever tidies up need not know what has been.",
     .body = close_may_be_called_again,
     .limit = seconds(60)},
    {.id = "CM-81",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "calls after close answer failed_precondition; rank() and size() stay, and a Work that was done is",
     .rationale = "A late caller gets an error, not a crash.",
     .body = calls_after_close,
     .limit = seconds(60)},
    {.id = "CM-82",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "close with a message pending ends it with an error, and does not wait for the peer",
     .rationale = "The peer may be why the group is closed.",
     .body = close_ends_what_is_pending,
     .limit = seconds(60)},
    {.id = "CM-83",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "the destructor of a group that nobody closed closes it, and leaves no descriptor, thread or key",
     .rationale = "Errors leave by every door.",
     .body = the_destructor_closes,
     .limit = seconds(60)},
    {.id = "CM-84",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "every key of a group begins with 'group/<id>/', and is gone when all ranks have closed",
     .rationale = "The head retires a group by that prefix.",
     .body = keys_are_the_groups_own,
     .limit = seconds(60)},
    {.id = "CM-85",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "an id may serve again once every rank has closed",
     .rationale = "It is unique while its group lives.",
     .body = an_id_serves_again,
     .limit = seconds(60)},
    {.id = "CM-86",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "the end of a group disturbs no other, also where one id begins with the other's",
     .rationale = "Keys are removed by prefix; \"tp/1\" begins \"tp/1/inner\" and \"tp/10\".",
     .body = ends_leave_other_groups_alone,
     .limit = seconds(60)},
    {.id = "CM-87",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a hundred groups opened, used and closed leave no descriptor, thread, memory, shared segment or key",
     .rationale = "A worker lives for months and its replica restarts in place.",
     .body = a_hundred_groups_leave_nothing,
     .limit = seconds(90)},
    {.id = "CM-88",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "where a rank was killed, nothing is left in /dev/shm that nobody uses once the others have closed",
     .rationale = "The killed rank cannot tidy up, and memory is the machine's.",
     .body = a_killed_rank_leaves_no_segment,
     .limit = seconds(60)},
    {.id = "CM-89",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title =
         "a Work may be waited for again, and in any order; a default one is done; done() comes true without a wait",
     .rationale = "It is a ticket, and a value.",
     .body = a_work_is_a_ticket,
     .limit = seconds(60)},
    {.id = "CM-90",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "query() of a group answers null for an interface it does not know, and the group works on",
     .rationale = "That is how interfaces grow.",
     .body = unknown_interfaces,
     .limit = seconds(60)},
};

}  // namespace

std::span<const Case> closing_cases() { return closing_rules; }

}  // namespace weft::conformance
