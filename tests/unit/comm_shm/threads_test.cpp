// The protocol between ranks in one address space: what the thread sanitizer is to see.
#include <gmock/gmock.h>

#include "tests/support/communicator/reference.h"
#include "tests/unit/comm_shm/one_mapping.h"

namespace weft::test {
namespace {

// One and two shots, one piece and several, all ranks at once and ahead of each other.
TEST(OneMappingOf, RanksRunEveryCollectiveWithoutARace) {
  const std::int32_t size = 3;
  const OneMapping mapping(size, 64 << 10);
  mapping.with_group([&](Group& group) {
    const auto index = static_cast<std::size_t>(group.rank());
    for (const std::size_t count : {1u, 1000u, 5000u, 20'000u}) {
      Data data = data_of(DType::f32, group.rank(), count);
      const Buffer all{.data = data.data(), .size = data.size()};
      expect_ok(finish(group.all_reduce(all, DType::f32, ReduceOp::sum, {})));
      EXPECT_TRUE(data == reduced(DType::f32, ReduceOp::sum, size, count));
      for (std::int32_t root = 0; root < size; ++root)
        expect_ok(finish(group.broadcast(all, DType::f32, root, {})));
      Data gathered(data.size() * 3), scattered(data.size());
      const Buffer wide{.data = gathered.data(), .size = gathered.size()};
      expect_ok(finish(group.all_gather(all, wide, DType::f32, {})));
      expect_ok(finish(group.reduce_scatter(wide, {.data = scattered.data(), .size = scattered.size()}, DType::f32,
                                            ReduceOp::max, {})));
      EXPECT_TRUE(scattered == data);
      Data turned(gathered.size());
      expect_ok(finish(group.all_to_all(wide, {.data = turned.data(), .size = turned.size()}, DType::f32, {})));
      EXPECT_TRUE(turned == gathered);
      expect_ok(finish(group.barrier({})));
    }
    EXPECT_LT(index, 3u);
  });
}

TEST(OneMappingOf, RanksExchangeMessagesWithoutARace) {
  const OneMapping mapping(2, 64 << 10);
  mapping.with_group([&](Group& group) {
    const std::int32_t peer = 1 - group.rank();
    for (const std::size_t count : {1u, 500u, 50'000u, 7u, 9000u}) {
      Data given = data_of(DType::i64, group.rank(), count), taken(given.size());
      auto send = group.send({.data = given.data(), .size = given.size()}, DType::i64, peer, 3, {});
      auto recv = group.recv({.data = taken.data(), .size = taken.size()}, DType::i64, peer, 3, {});
      expect_ok(finish(send));
      expect_ok(finish(recv));
      EXPECT_TRUE(taken == data_of(DType::i64, peer, count));
    }
  });
}

TEST(OneMappingOf, AbortFromAnotherThreadIsNoRace) {
  const OneMapping mapping(2);
  std::atomic<bool> aborted{false};
  on_threads(2, [&](std::int32_t rank) {
    const auto group = mapping.open(rank);
    expect_ok(finish(group->barrier({})));
    if (rank == 0) {
      std::thread other([&] { group->abort({ErrorCode::cancelled, "enough"}); });
      EXPECT_EQ(finish(group->barrier({})).error().code, ErrorCode::cancelled);
      other.join();
      aborted = true;
    } else {
      while (!aborted)
        std::this_thread::yield();
      Status status = finish(group->barrier({}));  // rank 0 had come to this one
      if (status) status = finish(group->barrier({}));
      ASSERT_FALSE(status);
      EXPECT_THAT(status.error().message, testing::HasSubstr("enough"));
    }
  });
}

}  // namespace
}  // namespace weft::test
