// Ranks that die, stop, leave or do not come, as the others see it.
#include <fmt/format.h>

#include "tests/conformance/communicator/calls.h"
#include "tests/conformance/communicator/groups.h"

namespace weft::conformance {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::int32_t victim = 1;
constexpr milliseconds operation_timeout{1500};  // of groups in which a rank is lost, where the rule is not about it
constexpr milliseconds grace{2000};              // beyond a deadline, on a busy machine

enum class Operation : std::uint8_t { barrier, all_reduce, all_gather, reduce_scatter, all_to_all, recv };
constexpr Operation every_operation[] = {Operation::barrier,        Operation::all_reduce, Operation::all_gather,
                                         Operation::reduce_scatter, Operation::all_to_all, Operation::recv};

// What no rank of three can finish without the victim.
struct Attempt {
  Attempt() : in(3 * part), out(3 * part) {}

  Result<Work> begin(Group& group, Operation operation) {
    const Buffer one = in.buffer().slice(0, part);
    switch (operation) {
      case Operation::barrier: return group.barrier({});
      case Operation::all_reduce: return group.all_reduce(out.buffer(), DType::f32, ReduceOp::sum, {});
      case Operation::all_gather: return group.all_gather(one, out.buffer(), DType::f32, {});
      case Operation::reduce_scatter:
        return group.reduce_scatter(in.buffer(), out.buffer().slice(0, part), DType::f32, ReduceOp::sum, {});
      case Operation::all_to_all: return group.all_to_all(in.buffer(), out.buffer(), DType::f32, {});
      case Operation::recv: return group.recv(one, DType::f32, victim, 4, {});
    }
    return group.barrier({});
  }

  static constexpr Bytes part = 8192;
  Guarded in;
  Guarded out;
};

const char* to_string(Operation operation) {
  constexpr const char* names[] = {"barrier", "all_reduce", "all_gather", "reduce_scatter", "all_to_all", "recv"};
  return names[static_cast<std::size_t>(operation)];
}

GroupSpec spec_of(const Rank& rank, std::string id) {
  GroupSpec spec = rank.spec(std::move(id));
  spec.operation_timeout = rank.scaled(operation_timeout);
  return spec;
}

void expect_broken(const Rank& rank, Group& group) {
  const Error after = rank.failure(group.barrier({}), rank.scaled(seconds(1)), "a call after the error");
  rank.context.expect(after.code == ErrorCode::failed_precondition,
                      fmt::format("a call after the error: {}, expected failed_precondition", to_string(after)));
}

void close_broken(const Rank& rank, std::unique_ptr<Group>& group) {
  const Time began = Clock::now();
  (void)group->close(Deadline::in(rank.scaled(seconds(2))));
  rank.context.expect(Clock::now() - began < rank.scaled(seconds(4)),
                      "the close of a broken group took over four seconds");
  group.reset();
}

// The victim dies, or whatever `end_victim` does, before it takes part: nobody may be told that all is well.
void expect_nobody_ok(Context& context, const std::function<void(World&)>& end_victim,
                      const std::function<void(Rank&, std::unique_ptr<Group>&)>& victims_end) {
  for (const Operation operation : every_operation) {
    World world(context);
    for (std::int32_t index = 0; index < 3; ++index)
      world.start(index, 3, [&](Rank& rank) {
        auto group = rank.open(spec_of(rank, "lost/1"));
        rank.finish(group->barrier({}), "the first barrier");
        rank.meet("ready");  // a rank that is lost while another is still in the barrier may end that too
        if (rank.index == victim) return victims_end(rank, group);
        Attempt attempt;
        rank.failure(attempt.begin(*group, operation), rank.scaled(operation_timeout + grace),
                     fmt::format("{} with a rank that is lost", to_string(operation)));
        context.expect(attempt.in.intact() && attempt.out.intact(), "memory round the buffers was written");
        expect_broken(rank, *group);
        close_broken(rank, group);
      });
    world.await("ready");
    end_victim(world);
    world.finish();
  }
}

void a_killed_rank_is_missed(Context& context) {
  expect_nobody_ok(
      context, [](World& world) { world.kill(victim); },
      [](Rank& rank, std::unique_ptr<Group>&) { rank.await("never"); });
}

void a_rank_that_aborts_is_missed(Context& context) {
  expect_nobody_ok(
      context, [](World&) {},
      [](Rank& rank, std::unique_ptr<Group>& group) {
        group->abort({ErrorCode::aborted, "its device is on fire"});
        close_broken(rank, group);
      });
}

void a_rank_that_leaves_is_missed(Context& context) {
  expect_nobody_ok(
      context, [](World&) {},
      [](Rank& rank, std::unique_ptr<Group>& group) {
        (void)group->close(Deadline::in(rank.scaled(seconds(2))));
        group.reset();
      });
}

// One all_reduce after the other until one fails; what is ok must be right, and of this round.
Error reduce_until_error(const Rank& rank, Group& group, std::string_view what) {
  constexpr std::size_t count = 70'000;
  const Guarded memory(count * sizeof(std::int32_t));
  for (std::uint64_t round = 0;; ++round) {
    Parts given;
    for (std::int32_t peer = 0; peer < group.size(); ++peer)
      given.push_back({.origin = origin_of(rank, round, peer), .count = count});
    fill(memory.bytes(), DType::i32, given[static_cast<std::size_t>(rank.index)].origin);
    Result<Work> work = group.all_reduce(memory.buffer(), DType::i32, ReduceOp::sum, {});
    if (!work) return work.error();
    const Status status = work->wait(Deadline::never());
    if (!status) return status.error();
    const Call call{.type = DType::i32, .count = count};
    const Side side{.type = DType::i32, .in = {}, .out = {}, .terms = given};
    const std::string wrong = difference(call, side, memory.bytes(), true);
    rank.context.expect(
        wrong.empty(), fmt::format("{}: all_reduce {} is ok and wrong at rank {}: {}", what, round, rank.index, wrong));
    rank.context.expect(!rank.context.deadline().passed(), fmt::format("{}: nobody noticed", what));
    if (round == 5 && rank.index == 0) rank.mark("under way");
  }
}

void lost_inside(Context& context, bool stopped) {
  World world(context);
  const std::string what = stopped ? "a rank stopped among all_reduces" : "a rank killed among all_reduces";
  for (std::int32_t index = 0; index < 3; ++index)
    world.start(index, 3, [&](Rank& rank) {
      auto group = rank.open(spec_of(rank, "inside/1"));
      const Error error = reduce_until_error(rank, *group, what);
      const Time ended = Clock::now();
      // When the rank was lost: written by the case.
      rank.await("lost");
      const auto lost = Time(Duration(rank.board.cell[0].load()));
      const Duration most = rank.scaled(operation_timeout + grace);
      context.expect(ended - lost <= most, fmt::format("{}: the others ended {} ms later, expected {} at most", what,
                                                       std::chrono::duration_cast<milliseconds>(ended - lost).count(),
                                                       std::chrono::duration_cast<milliseconds>(most).count()));
      const bool named = error.message.find(member_name(victim)) != std::string::npos;
      if (named) ++rank.board.cell[1];
      context.expect(
          named || error.code != ErrorCode::deadline_exceeded,
          fmt::format("{}: deadline_exceeded does not name '{}': {}", what, member_name(victim), error.message));
      expect_broken(rank, *group);
      close_broken(rank, group);
    });
  world.await("under way");
  world.board().cell[0] = static_cast<std::uint64_t>(Clock::now().time_since_epoch().count());
  stopped ? world.stop(victim) : world.kill(victim);
  world.mark("lost");
  world.finish();
  if (stopped)
    context.expect(world.board().cell[1] > 0, fmt::format("{}: no survivor names '{}'", what, member_name(victim)));
}

void killed_inside(Context& context) { lost_inside(context, false); }
void stopped_inside(Context& context) { lost_inside(context, true); }

// Rank 1 is there and takes no part; rank 0 waits for it.
void expect_deadline(Context& context, Duration timeout, Duration waits, Duration ends) {
  World world(context);
  world.run(2, [&](Rank& rank) {
    for (const Operation operation : {Operation::barrier, Operation::all_reduce, Operation::recv}) {
      GroupSpec spec = rank.spec(fmt::format("deadline/{}", to_string(operation)));
      spec.operation_timeout = rank.scaled(timeout);
      auto group = rank.open(spec);
      const std::string over = fmt::format("over/{}", to_string(operation));
      if (rank.index != 0) {
        rank.await(over);
        group->abort({ErrorCode::cancelled, "the case is over"});
        close_broken(rank, group);
        continue;
      }
      Attempt attempt;
      const Time began = Clock::now();
      const Deadline deadline = waits == Duration::max() ? Deadline::never() : Deadline::in(rank.scaled(waits));
      const Error error = rank.failure(attempt.begin(*group, operation), rank.scaled(ends + grace),
                                       fmt::format("{} without the other rank", to_string(operation)), deadline);
      const auto took = std::chrono::duration_cast<milliseconds>(Clock::now() - began);
      context.expect(took >= rank.scaled(ends) * 9 / 10,
                     fmt::format("{} gave up after {} ms: {}", to_string(operation), took.count(), to_string(error)));
      context.expect(error.code == ErrorCode::deadline_exceeded,
                     fmt::format("{}: {}, expected deadline_exceeded", to_string(operation), to_string(error)));
      context.expect(error.message.find(member_name(1)) != std::string::npos,
                     fmt::format("{}: it does not name '{}', who was missing: {}", to_string(operation), member_name(1),
                                 error.message));
      expect_broken(rank, *group);
      rank.mark(over);
      close_broken(rank, group);
    }
  });
}

void the_waits_deadline_counts(Context& context) {
  expect_deadline(context, seconds(30), milliseconds(300), milliseconds(300));
}
void the_operations_timeout_counts(Context& context) {
  expect_deadline(context, milliseconds(300), Duration::max(), milliseconds(300));
}

void after_an_error_nothing_goes(Context& context) {
  World world(context);
  world.run(2, [&](Rank& rank) {
    auto group = rank.open("broken/1");
    if (rank.index != 0) {
      rank.await("over");
      return;
    }
    const Guarded memory(64);
    const Buffer all = memory.buffer();
    Work work = context.take(group->all_reduce(all, DType::f32, ReduceOp::sum, {}), "all_reduce");
    context.expect(!work.wait(Deadline::in(milliseconds(50))), "all_reduce without the other rank is ok");
    static constexpr Bytes parts[] = {32, 32};
    const auto expect = [&](const auto& result, const char* what) {
      context.expect_error(result, ErrorCode::failed_precondition, what);
    };
    for (int turn = 0; turn < 2; ++turn) {
      expect(group->all_reduce(all, DType::f32, ReduceOp::sum, {}), "all_reduce after an error");
      expect(group->all_gather(all.slice(0, 32), all, DType::f32, {}), "all_gather after an error");
      expect(group->reduce_scatter(all, all.slice(0, 32), DType::f32, ReduceOp::sum, {}),
             "reduce_scatter after an error");
      expect(group->broadcast(all, DType::f32, 0, {}), "broadcast after an error");
      expect(group->all_to_all(all, all, DType::f32, {}), "all_to_all after an error");
      expect(group->all_to_all_v(all, parts, all, parts, DType::f32, {}), "all_to_all_v after an error");
      expect(group->send(all, DType::f32, 1, 0, {}), "send after an error");
      expect(group->recv(all, DType::f32, 1, 0, {}), "recv after an error");
      expect(group->barrier({}), "barrier after an error");
      expect(group->allocate(64), "allocate after an error");
      context.expect(!work.wait(Deadline::in(seconds(1))), "the Work that failed is ok when it is waited for again");
    }
    rank.mark("over");
    close_broken(rank, group);
  });
}

void the_next_incarnation_opens(Context& context) {
  World world(context);
  const auto use_next = [](Rank& rank) {
    auto group = rank.open(spec_of(rank, "tp/replica-0/2"));
    perform(rank, *group, {.type = DType::f32, .count = 10'000, .salt = 2});
    rank.close(group);
  };
  for (std::int32_t index = 0; index < 3; ++index)
    world.start(index, 3, [&](Rank& rank) {
      auto group = rank.open(spec_of(rank, "tp/replica-0/1"));
      perform(rank, *group, {.type = DType::f32, .count = 10'000});
      rank.meet("open");
      if (rank.index == victim) rank.await("never");
      rank.failure(group->barrier({}), rank.scaled(operation_timeout + grace), "a barrier without the killed rank");
      close_broken(rank, group);
      use_next(rank);  // the same process goes on in the next incarnation
    });
  world.await("open");
  world.kill(victim);
  world.start(victim, 3, use_next);
  world.finish();
}

// Until the store has a key of the group, which its owner does not tell; or a while, of a communicator without keys.
void await_keys(const Context& context, World& world, const std::string& group) {
  const Deadline deadline = Deadline::in(context.scaled(seconds(1)));
  while (!deadline.passed() && context.take(world.store().list("group/" + group, patience(context)), "list").empty())
    (void)world.store().wait({"case/never"}, Deadline::in(milliseconds(5)));
}

// The rank that is killed has said that it is there, as far as anybody can tell, or perhaps not; it was alone until then, or not.
void killed_while_they_meet(Context& context, bool alone) {
  World world(context);
  const auto body = [&](Rank& rank) {
    if (rank.index == 2 || (alone && rank.index != victim)) rank.await("killed");
    GroupSpec spec = rank.spec("meeting/1");
    if (rank.index != victim) spec.deadline = Deadline::in(rank.scaled(milliseconds(1500)));
    if (rank.index == victim) rank.mark("opening");
    const auto opened = rank.communicator.open(spec);
    context.expect(Clock::now() - spec.deadline.at() <= rank.scaled(seconds(1)), "the open ended over a second late");
    context.expect(!opened, "a group opened of which a rank had been killed before all had come");
  };
  for (std::int32_t index = 0; index < 3; ++index)
    world.start(index, 3, body);
  world.await("opening");
  if (alone) await_keys(context, world, "meeting/1");
  world.kill(victim);
  world.mark("killed");
  world.finish();
}

void killed_while_they_meet(Context& context) {
  for (const bool alone : {false, true})
    killed_while_they_meet(context, alone);
}

constexpr Case failure_rules[] = {
    {.id = "CM-60",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a rank that was killed before its part ends every other rank's collective and recv with an error, by "
              "the operation's "
              "time-out",
     .rationale = "Never a false ok, never a hang. The group is broken after it and can be closed.",
     .body = a_killed_rank_is_missed,
     .limit = seconds(90)},
    {.id = "CM-61",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title =
         "a rank killed inside a collective ends it on all others by the time-out; what was ok until then is right",
     .rationale = "Data may have been half on its way.",
     .body = killed_inside,
     .limit = seconds(60)},
    {.id = "CM-62",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a rank that is stopped ends the collective on all others by the time-out, and is named",
     .rationale = "A process under a debugger or a machine that swaps closes no connection.",
     .body = stopped_inside,
     .limit = seconds(60)},
    {.id = "CM-63",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a rank that aborts ends every other rank's collective and recv with an error, by the time-out",
     .rationale = "One rank's failure is its group's.",
     .body = a_rank_that_aborts_is_missed,
     .limit = seconds(90)},
    {.id = "CM-64",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a rank that closes ends what the others begin after it with an error, by the time-out",
     .rationale = "A rank may be told to go while the others work.",
     .body = a_rank_that_leaves_is_missed,
     .limit = seconds(90)},
    {.id = "CM-65",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "wait ends at its deadline with deadline_exceeded, which names the missing ranks and breaks the group",
     .rationale = "The bound is two seconds after it.",
     .body = the_waits_deadline_counts,
     .limit = seconds(60)},
    {.id = "CM-66",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "where wait names no earlier deadline, operation_timeout ends the operation likewise",
     .rationale = "The bound is two seconds after it.",
     .body = the_operations_timeout_counts,
     .limit = seconds(60)},
    {.id = "CM-67",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "after an error every further call answers failed_precondition, and the Work that failed is never ok",
     .rationale = "The ranks are no longer in step.",
     .body = after_an_error_nothing_goes,
     .limit = seconds(60)},
    {.id = "CM-68",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "after a rank died the group opens again in the next incarnation, in the same processes and a new one",
     .rationale = "A replica that restarts in place.",
     .body = the_next_incarnation_opens,
     .limit = seconds(60)},
    {.id = "CM-69",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a rank that is killed while the ranks meet makes the others' open fail by its deadline",
     .rationale = "It may have said that it is there.",
     .body = killed_while_they_meet,
     .limit = seconds(60)},
};

}  // namespace

std::span<const Case> failure_cases() { return failure_rules; }

}  // namespace weft::conformance
