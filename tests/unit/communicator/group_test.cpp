// The life of groups: opening, refusing, aborting, closing.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <future>
#include <limits>
#include <thread>

#include "tests/support/communicator/ranks.h"
#include "tests/support/communicator/reference.h"

namespace weft::test {
namespace {

using testing::HasSubstr;

std::ptrdiff_t entries(const char* folder) {
  return std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator());
}

WEFT_FOR_EACH_PLUGIN(Open);
WEFT_FOR_EACH_PLUGIN(Groups);

TEST_P(Open, NamesTheRanksThatDidNotCome) {
  store::StoreHost host;
  store::LocalStore store(host);
  GroupSpec spec = spec_of(store, "missing/1", 1, 4);
  spec.members = {"rank 4 (dp 1, tp 0)", "rank 5 (dp 1, tp 1)", "rank 6 (dp 1, tp 2)", "rank 7 (dp 1, tp 3)"};
  spec.deadline = Deadline::in(std::chrono::milliseconds(100));
  auto communicator = make();
  const auto group = communicator->open(spec);
  ASSERT_FALSE(group);
  EXPECT_EQ(group.error().code, ErrorCode::deadline_exceeded);
  EXPECT_THAT(group.error().message, HasSubstr("rank 4 (dp 1, tp 0), rank 6 (dp 1, tp 2), rank 7 (dp 1, tp 3)"));
  EXPECT_THAT(group.error().message, HasSubstr("missing/1"));
  EXPECT_EQ(host.size(), 0u);
}

TEST_P(Open, RefusesARankThatIsThereAlready) {
  store::StoreHost host;
  auto communicator = make();
  std::atomic<int> refused{0}, opened{0};
  std::promise<void> turned_away;
  const std::shared_future<void> until = turned_away.get_future();
  on_threads(3, [&](std::int32_t thread) {
    store::LocalStore store(host);
    auto group = communicator->open(spec_of(store, "twice/1", std::min(thread, 1), 2));
    if (group) {
      ++opened;
      expect_ok(finish((*group)->barrier({})));
      // A rank is there only while its group lives: one that comes after its end would wait in vain.
      EXPECT_EQ(until.wait_for(patience), std::future_status::ready);
    } else {
      if (++refused == 1) turned_away.set_value();
      EXPECT_EQ(group.error().code, ErrorCode::already_exists);
      EXPECT_THAT(group.error().message, HasSubstr("rank 1"));
    }
  });
  EXPECT_EQ(opened, 2);
  EXPECT_EQ(refused, 1);
}

TEST_P(Open, TellsBothSidesThatTheirSizesDiffer) {
  store::StoreHost host;
  auto communicator = make();
  on_threads(2, [&](std::int32_t rank) {
    store::LocalStore store(host);
    const auto group = communicator->open(spec_of(store, "sizes/1", rank, 2 + rank));
    ASSERT_FALSE(group);
    EXPECT_EQ(group.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(group.error().message, HasSubstr("size 2"));
    EXPECT_THAT(group.error().message, HasSubstr("size 3"));
  });
}

// Does what it is asked, and its answer is lost.
class LateStore final : public store::LocalStore {
 public:
  using LocalStore::LocalStore;
  Result<std::string> compare_and_set(std::string_view key, std::optional<std::string_view> expected,
                                      std::string_view desired, Deadline deadline) override {
    EXPECT_TRUE(LocalStore::compare_and_set(key, expected, desired, deadline));
    return fail(ErrorCode::deadline_exceeded, "the head has not answered", true);
  }
};

TEST_P(Open, TakesItsPresenceBackWhereTheStoresAnswerWasLost) {
  store::StoreHost host;
  LateStore store(host);
  auto communicator = make();
  const auto group = communicator->open(spec_of(store, "late/1", 0, 2));
  ASSERT_FALSE(group);
  EXPECT_EQ(group.error().code, ErrorCode::deadline_exceeded);
  EXPECT_EQ(host.size(), 0u);
}

TEST_P(Open, RefusesASpecThatCannotBe) {
  store::StoreHost host;
  store::LocalStore store(host);
  auto communicator = make();
  const auto code = [&](const std::function<void(GroupSpec&)>& spoil) {
    GroupSpec spec = spec_of(store, "bad/1", 0, 2);
    spoil(spec);
    const auto group = communicator->open(spec);
    return group ? ErrorCode{} : group.error().code;
  };
  EXPECT_EQ(code([](GroupSpec& spec) { spec.rank = 2; }), ErrorCode::invalid_argument);
  EXPECT_EQ(code([](GroupSpec& spec) { spec.rank = -1; }), ErrorCode::invalid_argument);
  EXPECT_EQ(code([](GroupSpec& spec) { spec.size = 0; }), ErrorCode::invalid_argument);
  EXPECT_EQ(code([](GroupSpec& spec) { spec.id.clear(); }), ErrorCode::invalid_argument);
  EXPECT_EQ(code([](GroupSpec& spec) { spec.store = nullptr; }), ErrorCode::invalid_argument);
  EXPECT_EQ(code([](GroupSpec& spec) { spec.members = {"one"}; }), ErrorCode::invalid_argument);
  EXPECT_EQ(code([](GroupSpec& spec) { spec.memory = MemoryKind::device; }), ErrorCode::unimplemented);
}

TEST_P(Open, OfOneRankNeedsNoStoreAndNoNetwork) {
  auto communicator = make();
  auto group = communicator->open({.id = "alone"});
  ASSERT_TRUE(group) << group.error().message;
  Data data = data_of(DType::f32, 0, 10);
  expect_ok(finish((*group)->all_reduce({.data = data.data(), .size = data.size()}, DType::f32, ReduceOp::sum, {})));
  EXPECT_EQ(data, data_of(DType::f32, 0, 10));
  expect_ok((*group)->close(Deadline::in(patience)));
}

TEST_P(Groups, RefusesCallsThatCannotBeAndStaysWhole) {
  with_group(*make(), 2, [&](Group& group) {
    auto memory = group.allocate(64);
    ASSERT_TRUE(memory);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory->data) % 64, 0u);
    const Buffer all = *memory;
    const auto code = [](const Result<Work>& work) { return work ? ErrorCode{} : work.error().code; };
    EXPECT_EQ(code(group.all_reduce(all.slice(0, 6), DType::f32, ReduceOp::sum, {})), ErrorCode::invalid_argument);
    EXPECT_EQ(code(group.all_gather(all.slice(0, 32), all.slice(0, 32), DType::u8, {})), ErrorCode::invalid_argument);
    EXPECT_EQ(code(group.reduce_scatter(all, all.slice(0, 16), DType::u8, ReduceOp::sum, {})),
              ErrorCode::invalid_argument);
    EXPECT_EQ(code(group.broadcast(all, DType::u8, 2, {})), ErrorCode::invalid_argument);
    const auto unknown = static_cast<ReduceOp>(7);
    EXPECT_EQ(code(group.all_reduce(all, DType::u8, unknown, {})), ErrorCode::invalid_argument);
    EXPECT_EQ(code(group.reduce_scatter(all, all.slice(0, 32), DType::u8, unknown, {})), ErrorCode::invalid_argument);
    EXPECT_EQ(code(group.all_to_all(all.slice(0, 5), all.slice(0, 5), DType::u8, {})), ErrorCode::invalid_argument);
    const Bytes parts[] = {60, 8};
    EXPECT_EQ(code(group.all_to_all_v(all, parts, all, parts, DType::u8, {})), ErrorCode::invalid_argument);
    EXPECT_EQ(code(group.send(all, DType::u8, group.rank(), 0, {})), ErrorCode::invalid_argument);
    EXPECT_EQ(code(group.recv(all, DType::u8, 1 - group.rank(), 65536, {})), ErrorCode::invalid_argument);
    EXPECT_EQ(code(group.barrier({.kind = Stream::Kind::cuda})), ErrorCode::unimplemented);
    Buffer device = all;
    device.kind = MemoryKind::device;
    EXPECT_EQ(code(group.broadcast(device, DType::u8, 0, {})), ErrorCode::unimplemented);
    expect_ok(finish(group.barrier({})));
  });
}

TEST_P(Groups, AllocatesNothingWhereThereIsNotEnoughAndStaysWhole) {
  with_group(*make(), 2, [&](Group& group) {
    for (const Bytes bytes : {Bytes{1} << 62, ~Bytes{0} - 63, ~Bytes{0}}) {
      const auto memory = group.allocate(bytes);
      ASSERT_FALSE(memory);
      EXPECT_EQ(memory.error().code, ErrorCode::resource_exhausted);
    }
    expect_ok(finish(group.barrier({})));
  });
}

TEST_P(Groups, AbortFromAnotherThreadEndsWhatIsPending) {
  enum class Pending { collective, recv, send };
  for (const Pending pending : {Pending::collective, Pending::recv, Pending::send}) {
    store::StoreHost host;
    auto communicator = make();
    std::atomic<bool> done{false};
    on_threads(2, [&](std::int32_t rank) {
      store::LocalStore store(host);
      auto opened = communicator->open(spec_of(store, "abort/1", rank, 2));
      ASSERT_TRUE(opened) << opened.error().message;
      Group& group = **opened;
      expect_ok(finish(group.barrier({})));
      if (rank == 1) {  // stays, and takes no part
        while (!done)
          std::this_thread::yield();
        return;
      }
      Data data(32 << 20);
      const Buffer all{.data = data.data(), .size = data.size()};
      Result<Work> work = pending == Pending::collective ? group.all_reduce(all, DType::u8, ReduceOp::sum, {})
                          : pending == Pending::recv     ? group.recv(all, DType::u8, 1, 0, {})
                                                         : group.send(all, DType::u8, 1, 0, {});
      ASSERT_TRUE(work);
      Time aborted{};
      std::thread other([&] {
        aborted = Clock::now();
        group.abort({ErrorCode::cancelled, "enough"});
        group.abort({ErrorCode::internal, "too late"});
      });
      const Status status = work->wait(Deadline::in(patience));
      other.join();
      EXPECT_LT(Clock::now() - aborted, std::chrono::seconds(1));
      ASSERT_FALSE(status);
      EXPECT_EQ(status.error().code, ErrorCode::cancelled);
      EXPECT_EQ(status.error().message, "enough");
      EXPECT_EQ(work->wait(Deadline::in(patience)).error().code, ErrorCode::cancelled);
      EXPECT_EQ(group.barrier({}).error().code, ErrorCode::failed_precondition);
      expect_ok(group.close(Deadline::in(patience)));
      expect_ok(group.close(Deadline::in(patience)));
      EXPECT_EQ(group.barrier({}).error().code, ErrorCode::failed_precondition);
      done = true;
    });
  }
}

TEST_P(Groups, AbortBeforeAnOperationEndsTheNextOne) {
  store::StoreHost host;
  auto communicator = make();
  on_threads(2, [&](std::int32_t rank) {
    store::LocalStore store(host);
    auto group = communicator->open(spec_of(store, "early/1", rank, 2));
    ASSERT_TRUE(group) << group.error().message;
    (*group)->abort({ErrorCode::cancelled, "enough"});
    EXPECT_EQ(finish((*group)->barrier({})).error().code, ErrorCode::cancelled);
    EXPECT_EQ(finish((*group)->barrier({})).error().code, ErrorCode::failed_precondition);
  });
}

// This process's threads: `expected`, or what there is when patience ends. The kernel lists a thread that was joined until
// it has let go of it.
std::ptrdiff_t threads_left(std::ptrdiff_t expected) {
  for (const Deadline deadline = Deadline::in(patience); entries("/proc/self/task") != expected && !deadline.passed();)
    std::this_thread::yield();
  return entries("/proc/self/task");
}

TEST_P(Groups, MayBeOpenedAndClosedAHundredTimesAndLeavesNothing) {
  store::StoreHost host;
  std::ptrdiff_t descriptors = 0;
  std::ptrdiff_t threads =
      std::numeric_limits<std::ptrdiff_t>::max();  // the fewest after a round: more at the end are left
  auto communicator = make();
  const std::ptrdiff_t threads_before = entries("/proc/self/task");
  for (int round = 0; round <= 100; ++round) {
    on_threads(2, [&](std::int32_t rank) {
      store::LocalStore store(host);
      // The last round's keys are gone, so that even the same id would do; the other one is as it should be.
      auto group = communicator->open(spec_of(store, round % 2 ? "again" : "again/" + std::to_string(round), rank, 2));
      ASSERT_TRUE(group) << group.error().message;
      expect_ok(finish((*group)->barrier({})));
      if (round % 3) expect_ok((*group)->close(Deadline::in(patience)));
    });
    EXPECT_EQ(host.size(), 0u);
    if (round == 0) descriptors = entries("/proc/self/fd");
    threads = std::min(threads, entries("/proc/self/task"));
  }
  EXPECT_EQ(entries("/proc/self/fd"), descriptors);
  EXPECT_EQ(threads_left(threads), threads);
  communicator.reset();
  EXPECT_EQ(threads_left(threads_before), threads_before);
}

TEST_P(Groups, MayOverlapWithOthersOfTheSameRanksAndThreads) {
  // Each of four threads is in a group of rows, one of columns and one of all, as tensor, pipeline and data groups are.
  store::StoreHost host;
  auto communicator = make();
  on_threads(4, [&](std::int32_t me) {
    store::LocalStore store(host);
    const std::int32_t row = me / 2, column = me % 2;
    auto rows = communicator->open(spec_of(store, "row/" + std::to_string(row), column, 2));
    auto columns = communicator->open(spec_of(store, "column/" + std::to_string(column), row, 2));
    auto all = communicator->open(spec_of(store, "all", me, 4));
    ASSERT_TRUE(rows && columns && all);
    const auto sum = [](Group& group, std::int32_t value) {
      expect_ok(finish(group.all_reduce({.data = &value, .size = 4}, DType::i32, ReduceOp::sum, {})));
      return value;
    };
    for (int round = 0; round < 100; ++round) {
      EXPECT_EQ(sum(**rows, 1 << me), 3 << (2 * row));
      EXPECT_EQ(sum(**columns, 1 << me), 5 << column);
      EXPECT_EQ(sum(**all, 1 << me), 15);
    }
  });
  EXPECT_EQ(host.size(), 0u);
}

TEST_P(Groups, ManyMayBeOpenedAndUsedAtOnceByThreadsOfOneProcess) {
  store::StoreHost host;
  auto communicator = make();
  on_threads(8, [&](std::int32_t thread) {
    store::LocalStore store(host);
    const std::int32_t rank = thread % 2, id = thread / 2;
    auto group = communicator->open(spec_of(store, "crowd/" + std::to_string(id), rank, 2));
    ASSERT_TRUE(group) << group.error().message;
    for (int round = 0; round < 50; ++round) {
      Data data = data_of(DType::f32, rank, 20'000);
      expect_ok(
          finish((*group)->all_reduce({.data = data.data(), .size = data.size()}, DType::f32, ReduceOp::sum, {})));
      EXPECT_TRUE(data == reduced(DType::f32, ReduceOp::sum, 2, 20'000));
    }
  });
}

}  // namespace
}  // namespace weft::test
