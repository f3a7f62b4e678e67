// abort(), from any thread at any moment.
#include <fmt/format.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "tests/conformance/communicator/calls.h"
#include "tests/conformance/communicator/groups.h"

namespace weft::conformance {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

enum class Waits : std::uint8_t { barrier, all_reduce, broadcast, recv, send };

const char* to_string(Waits waits) {
  constexpr const char* names[] = {"barrier", "all_reduce", "broadcast", "recv", "send"};
  return names[static_cast<std::size_t>(waits)];
}

Result<Work> begin(Group& group, Waits waits, Buffer memory) {
  switch (waits) {
    case Waits::barrier: return group.barrier({});
    case Waits::all_reduce: return group.all_reduce(memory, DType::u8, ReduceOp::sum, {});
    case Waits::broadcast: return group.broadcast(memory, DType::u8, 1, {});
    case Waits::recv: return group.recv(memory, DType::u8, 1, 0, {});
    case Waits::send: return group.send(memory, DType::u8, 1, 0, {});
  }
  return group.barrier({});
}

// A thread that calls `aborting` once the wait that it disturbs has surely begun, and says when.
class Aborter {
 public:
  Aborter(Rank& rank, std::function<void()> aborting)
      : thread_([this, &rank, aborting = std::move(aborting)] {
          rank.mark_within("never", milliseconds(50));  // the wait of the other thread tells nobody that it has begun
          at_ = Clock::now();
          aborting();
        }) {}
  ~Aborter() { join(); }
  Aborter(const Aborter&) = delete;
  Aborter& operator=(const Aborter&) = delete;
  Time join() {
    if (thread_.joinable()) thread_.join();
    return at_;
  }

 private:
  Time at_{};
  std::thread thread_;
};

// Rank 0 waits for what rank 1 has no part in, and `aborting` ends it.
void expect_abort_ends(Context& context, const std::function<void(Group&)>& aborting) {
  World world(context);
  world.run(2, [&](Rank& rank) {
    for (const Waits waits : {Waits::barrier, Waits::all_reduce, Waits::broadcast, Waits::recv, Waits::send}) {
      auto group = rank.open(fmt::format("abort/{}", to_string(waits)));
      const std::string over = fmt::format("over/{}", to_string(waits));
      if (rank.index == 1) {
        rank.await(over);
        (void)group->close(Deadline::in(rank.scaled(seconds(2))));
        continue;
      }
      const Guarded memory(std::size_t{32} << 20);
      Work work = context.take(begin(*group, waits, memory.buffer()), to_string(waits));
      Aborter other(rank, [&] { aborting(*group); });
      const Status status = work.wait(patience(context));
      const Time ended = Clock::now();
      const Time aborted = other.join();
      // A send may be over before anybody takes it.
      if (waits != Waits::send || !status) {
        context.expect(!status, fmt::format("{} that was aborted is ok", to_string(waits)));
        context.expect(ended - aborted < rank.scaled(seconds(1)),
                       fmt::format("{} ended over a second after abort", to_string(waits)));
        context.expect(status.error().code == ErrorCode::cancelled &&
                           status.error().message.find("the case has had enough") != std::string::npos,
                       fmt::format("{} ended with {}, expected the error that abort was given", to_string(waits),
                                   weft::to_string(status.error())));
      }
      context.expect(work.done(), "an aborted Work is not done");
      rank.mark(over);
      (void)group->close(Deadline::in(rank.scaled(seconds(2))));
    }
  });
}

void abort_ends_what_is_pending(Context& context) {
  expect_abort_ends(context, [](Group& group) { group.abort({ErrorCode::cancelled, "the case has had enough"}); });
}

void the_first_abort_counts(Context& context) {
  expect_abort_ends(context, [](Group& group) {
    group.abort({ErrorCode::cancelled, "the case has had enough"});
    group.abort({ErrorCode::internal, "too late"});
    group.abort({ErrorCode::cancelled, "later still"});
  });
}

void abort_before_an_operation(Context& context) {
  World world(context);
  world.run(2, [&](Rank& rank) {
    auto group = rank.open("early/1");
    rank.finish(group->barrier({}), "barrier");
    group->abort({ErrorCode::cancelled, "the case has had enough"});
    const Guarded memory(64);
    for (const Waits waits : {Waits::all_reduce, Waits::barrier, Waits::recv, Waits::send}) {
      const Error error = rank.failure(begin(*group, waits, memory.buffer()), rank.scaled(seconds(1)), "after abort");
      const bool why =
          error.code == ErrorCode::cancelled && error.message.find("the case has had enough") != std::string::npos;
      context.expect(why || error.code == ErrorCode::failed_precondition,
                     fmt::format("after abort: {}, expected the error that abort was given, or failed_precondition",
                                 weft::to_string(error)));
    }
    (void)group->close(Deadline::in(rank.scaled(seconds(2))));
  });
}

void expect_aborted(const Rank& rank, const Error& error, Duration later) {
  const bool why = error.code == ErrorCode::cancelled && error.message.find("enough") != std::string::npos;
  rank.context.expect(
      why || error.code == ErrorCode::failed_precondition,
      fmt::format("a busy rank that was aborted ended with {}, expected the error that abort was given, or "
                  "failed_precondition",
                  weft::to_string(error)));
  rank.context.expect(later < rank.scaled(seconds(1)), "a busy rank ended over a second after abort");
}

// Aborts come while the ranks are busy, at whatever moment it happens to be, from two threads. The rank that aborts hears why, and
// soon; the others hear of it in their own ways.
void abort_at_any_moment(Context& context) {
  World world(context);
  world.run(3, [&](Rank& rank) {
    for (int round = 0; round < 8; ++round) {
      auto group = rank.open(fmt::format("busy/{}", round));
      const Guarded memory(std::size_t{40'000});
      const bool aborts = round % 3 == rank.index;
      std::mutex mutex;  // guards turns, aborted
      std::condition_variable changed;
      int turns = 0;
      Time aborted = Time::max();
      std::vector<std::thread> others;
      for (int other = 0; other < (aborts ? 2 : 0); ++other)
        others.emplace_back([&, other] {
          std::unique_lock lock(mutex);
          changed.wait_for(lock, rank.scaled(seconds(10)), [&] { return turns > 3 * round + other; });
          aborted = std::min(aborted, Clock::now());
          lock.unlock();
          group->abort({ErrorCode::cancelled, "enough"});
        });
      Status status;
      const Deadline deadline = Deadline::in(rank.scaled(seconds(10))).earlier(patience(context));
      while (status && !deadline.passed()) {
        Result<Work> work = group->all_reduce(memory.buffer(), DType::f32, ReduceOp::sum, {});
        status = work ? work->wait(deadline) : Status(fail(work.error()));
        const std::lock_guard lock(mutex);
        ++turns;
        changed.notify_all();
      }
      const Time ended = Clock::now();
      for (std::thread& other : others)
        other.join();
      context.expect(!status, "a group that one rank aborted goes on");
      if (aborts) expect_aborted(rank, status.error(), ended - aborted);
      (void)group->close(Deadline::in(rank.scaled(seconds(2))));
    }
  });
}

constexpr Case abort_rules[] = {
    {.id = "CM-70",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "abort, by another thread, ends a pending collective, recv or send with its error, within a second",
     .rationale = "It is how a rank's process is told to stop while it waits for others.",
     .body = abort_ends_what_is_pending,
     .limit = seconds(60)},
    {.id = "CM-71",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "abort may be called again, and the first one's error counts",
     .rationale = "The first reason is the cause.",
     .body = the_first_abort_counts,
     .limit = seconds(60)},
    {.id = "CM-72",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "after abort every operation ends with its error or with failed_precondition, at once",
     .rationale = "Nothing may be pending at that moment.",
     .body = abort_before_an_operation,
     .limit = seconds(60)},
    {.id = "CM-73",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "abort may come at any moment of a busy group, from several threads, and ends it as it ends any other",
     .rationale = "Its caller knows nothing of what the group is doing.",
     .body = abort_at_any_moment,
     .limit = seconds(60)},
};

}  // namespace

std::span<const Case> abort_cases() { return abort_rules; }

}  // namespace weft::conformance
