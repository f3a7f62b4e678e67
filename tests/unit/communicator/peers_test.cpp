// Peers that die, stop, or do something else than this rank.
#include <gmock/gmock.h>

#include "tests/support/communicator/processes.h"
#include "tests/support/communicator/reference.h"

namespace weft::test {
namespace {

using testing::HasSubstr;

std::unique_ptr<Group> open_in_process(StoreClient& store, PluginHandle<Communicator>& communicator, std::int32_t rank,
                                       std::int32_t size, Duration operation_timeout = patience) {
  communicator = ForEachPlugin::make();
  GroupSpec spec = spec_of(store, "processes/1", rank, size);
  spec.operation_timeout = operation_timeout;
  for (std::int32_t member = 0; member < size; ++member)
    spec.members.push_back("rank " + std::to_string(member + 10) + " (tp " + std::to_string(member) + ")");
  auto group = communicator->open(spec);
  EXPECT_TRUE(group) << group.error().message;
  return group ? std::move(*group) : nullptr;
}

// What rank `rank` sees of an operation.
Error failure_of(Result<Work> work, Deadline deadline = Deadline::in(patience)) {
  const Status status = finish(std::move(work), deadline);
  EXPECT_FALSE(status);
  return status ? Error{} : status.error();
}

WEFT_FOR_EACH_PLUGIN(Processes);
WEFT_FOR_EACH_PLUGIN(Peers);

TEST_P(Processes, ComputeTheSameBitsAsThreads) {
  SharedStore store;
  const std::size_t count = 50'000;
  const auto body = [&](std::int32_t rank) {
    PluginHandle<Communicator> communicator;
    auto group = open_in_process(store, communicator, rank, 3);
    if (!group) return false;
    Data data = data_of(DType::bf16, rank, count);
    expect_ok(finish(group->all_reduce({.data = data.data(), .size = data.size()}, DType::bf16, ReduceOp::sum, {})));
    EXPECT_TRUE(data == reduced(DType::bf16, ReduceOp::sum, 3, count));
    expect_ok(group->close(Deadline::in(patience)));
    return true;
  };
  Children children(3, body);
  body(0);
  EXPECT_TRUE(children.well(1));
  EXPECT_TRUE(children.well(2));
  EXPECT_TRUE(store.list("group/", Deadline::never())->empty());
}

TEST_P(Processes, AKilledRankEndsTheOthersPendingCollectivesAndIsNamed) {
  SharedStore store;
  const auto survive = [&](std::int32_t rank) {
    PluginHandle<Communicator> communicator;
    auto group = open_in_process(store, communicator, rank, 3);
    if (!group) return false;
    expect_ok(finish(group->barrier({})));
    Data data(4096);
    const Time begin = Clock::now();
    const Error error =
        failure_of(group->all_reduce({.data = data.data(), .size = data.size()}, DType::f32, ReduceOp::sum, {}));
    EXPECT_LT(Clock::now() - begin, std::chrono::seconds(10));
    EXPECT_EQ(error.code, ErrorCode::unavailable);
    EXPECT_THAT(error.message, HasSubstr("rank 12 (tp 2)"));
    EXPECT_EQ(failure_of(group->barrier({})).code, ErrorCode::failed_precondition);
    expect_ok(group->close(Deadline::in(patience)));
    return true;
  };
  Children children(3, [&](std::int32_t rank) {
    if (rank == 1) return survive(rank);
    PluginHandle<Communicator> communicator;
    auto group = open_in_process(store, communicator, rank, 3);
    if (group) expect_ok(finish(group->barrier({})));
    ::raise(SIGKILL);
    return false;
  });
  survive(0);
  EXPECT_TRUE(children.well(1));
}

TEST_P(Processes, AStoppedRankIsMissedAtTheDeadlineOfTheWait) {
  SharedStore store;
  Children children(2, [&](std::int32_t rank) {
    PluginHandle<Communicator> communicator;
    auto group = open_in_process(store, communicator, rank, 2);
    if (group) expect_ok(finish(group->barrier({})));
    ::raise(SIGSTOP);
    return true;
  });
  PluginHandle<Communicator> communicator;
  auto group = open_in_process(store, communicator, 0, 2);
  ASSERT_TRUE(group);
  expect_ok(finish(group->barrier({})));
  children.await_stop(1);
  Data data(1 << 20);
  const Time begin = Clock::now();
  const Error error =
      failure_of(group->all_reduce({.data = data.data(), .size = data.size()}, DType::f32, ReduceOp::sum, {}),
                 Deadline::in(std::chrono::milliseconds(200)));
  EXPECT_GE(Clock::now() - begin, std::chrono::milliseconds(200));
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(10));
  EXPECT_EQ(error.code, ErrorCode::deadline_exceeded);
  EXPECT_THAT(error.message, HasSubstr("rank 11 (tp 1)"));
  expect_ok(group->close(Deadline::in(patience)));
  children.kill(1);
}

TEST_P(Processes, AStoppedRankIsMissedAtTheOperationsOwnTimeOut) {
  SharedStore store;
  const Duration timeout = std::chrono::milliseconds(300);
  Children children(2, [&](std::int32_t rank) {
    PluginHandle<Communicator> communicator;
    auto group = open_in_process(store, communicator, rank, 2);
    if (group) expect_ok(finish(group->barrier({})));
    ::raise(SIGSTOP);
    return true;
  });
  PluginHandle<Communicator> communicator;
  auto group = open_in_process(store, communicator, 0, 2, timeout);
  ASSERT_TRUE(group);
  expect_ok(finish(group->barrier({}), Deadline::never()));
  children.await_stop(1);
  // A root that only writes notices as well, once the socket's buffers are full.
  Data data(64 << 20);
  const Time begin = Clock::now();
  const Error error =
      failure_of(group->broadcast({.data = data.data(), .size = data.size()}, DType::u8, 0, {}), Deadline::never());
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(10));
  EXPECT_EQ(error.code, ErrorCode::deadline_exceeded);
  EXPECT_THAT(error.message, HasSubstr("rank 11 (tp 1)"));
  group.reset();
  children.kill(1);
}

TEST_P(Processes, AStoppedRankIsMissedByARecv) {
  SharedStore store;
  Children children(2, [&](std::int32_t rank) {
    PluginHandle<Communicator> communicator;
    auto group = open_in_process(store, communicator, rank, 2);
    ::raise(SIGSTOP);
    return true;
  });
  PluginHandle<Communicator> communicator;
  auto group = open_in_process(store, communicator, 0, 2);
  ASSERT_TRUE(group);
  children.await_stop(1);
  Data data(64);
  const Error error = failure_of(group->recv({.data = data.data(), .size = data.size()}, DType::u8, 1, 7, {}),
                                 Deadline::in(std::chrono::milliseconds(200)));
  EXPECT_EQ(error.code, ErrorCode::deadline_exceeded);
  EXPECT_THAT(error.message, HasSubstr("rank 11 (tp 1)"));
  children.kill(1);
}

// The peer dies while this rank's message is half way: the wait for the send must end too.
TEST_P(Processes, AKilledRankEndsAPendingSendAndRecv) {
  for (const bool outgoing : {true, false}) {
    SharedStore store;
    Children children(2, [&](std::int32_t rank) {
      PluginHandle<Communicator> communicator;
      auto group = open_in_process(store, communicator, rank, 2);
      Data data(64 << 20);
      const Buffer all{.data = data.data(), .size = data.size()};
      auto taken = group->recv(all, DType::u8, 0, 1, {});
      ::raise(SIGSTOP);
      return true;
    });
    PluginHandle<Communicator> communicator;
    auto group = open_in_process(store, communicator, 0, 2);
    ASSERT_TRUE(group);
    Data data(64 << 20);
    const Buffer all{.data = data.data(), .size = data.size()};
    children.await_stop(1);
    auto work = outgoing ? group->send(all, DType::u8, 1, 1, {}) : group->recv(all, DType::u8, 1, 1, {});
    ASSERT_TRUE(work) << work.error().message;
    std::thread killer([&] { children.kill(1); });
    const Time begin = Clock::now();
    const Status status = work->wait(Deadline::in(patience));
    killer.join();
    ASSERT_FALSE(status);
    EXPECT_LT(Clock::now() - begin, std::chrono::seconds(10));
    EXPECT_EQ(status.error().code, ErrorCode::unavailable);
    EXPECT_THAT(status.error().message, HasSubstr("rank 11 (tp 1)"));
  }
}

TEST_P(Peers, ThatCallDifferentThingsAreBothNamed) {
  store::StoreHost host;
  auto communicator = make();
  on_threads(2, [&](std::int32_t rank) {
    store::LocalStore store(host);
    auto group = communicator->open(spec_of(store, "differ/1", rank, 2));
    ASSERT_TRUE(group) << group.error().message;
    Data data(512);
    const Buffer all{.data = data.data(), .size = data.size()};
    const Error error = rank == 0 ? failure_of((*group)->all_reduce(all, DType::f32, ReduceOp::sum, {}))
                                  : failure_of((*group)->all_reduce(all.slice(0, 256), DType::bf16, ReduceOp::sum, {}));
    EXPECT_TRUE(error.code == ErrorCode::invalid_argument || error.code == ErrorCode::unavailable);
    EXPECT_THAT(error.message, HasSubstr("256 bytes of bf16"));
    EXPECT_THAT(error.message, HasSubstr("512 bytes of f32"));
  });
}

TEST_P(Peers, AreToldWhyARankLeft) {
  store::StoreHost host;
  auto communicator = make();
  on_threads(2, [&](std::int32_t rank) {
    store::LocalStore store(host);
    auto group = communicator->open(spec_of(store, "why/1", rank, 2));
    ASSERT_TRUE(group) << group.error().message;
    if (rank == 0) return (*group)->abort({ErrorCode::aborted, "its device is on fire"});
    const Error error = failure_of((*group)->barrier({}));
    EXPECT_EQ(error.code, ErrorCode::unavailable);
    EXPECT_THAT(error.message, HasSubstr("rank 0"));
    EXPECT_THAT(error.message, HasSubstr("on fire"));
  });
}

}  // namespace
}  // namespace weft::test
