// Where buffers lie and how long they are must not show in results.
#include "tests/support/communicator/reference.h"
#include "tests/unit/comm_shm/one_mapping.h"

namespace weft::test {
namespace {

std::vector<UserOption> little_memory() {
  return {{.key = "memory", .value = std::string("64KiB"), .where = "test"},
          {.key = "one_shot_bytes", .value = std::string("4KiB"), .where = "test"}};
}

void fill(Buffer buffer, const Data& data) { std::memcpy(buffer.data, data.data(), data.size()); }
bool holds(Buffer buffer, const Data& data) { return std::memcmp(buffer.data, data.data(), data.size()) == 0; }

// Every collective over buffers that allocate() gave; `mixed`: only at even ranks, the others use memory of their own.
void check_all(Group& group, bool mixed, std::size_t count) {
  const std::int32_t size = group.size(), rank = group.rank();
  const auto ranks = static_cast<std::size_t>(size), self = static_cast<std::size_t>(rank);
  const Bytes bytes = count * sizeof(float);
  std::vector<Data> own(2, Data(bytes * ranks));
  const auto buffer = [&](std::size_t which) {
    if (mixed && rank % 2 == 1) return Buffer{.data = own[which].data(), .size = own[which].size()};
    const auto made = group.allocate(bytes * ranks);
    EXPECT_TRUE(made);
    return *made;
  };
  const Buffer wide = buffer(0), other = buffer(1);
  const Buffer one = wide.slice(0, bytes);
  const Data mine = data_of(DType::f32, rank, count), sum = reduced(DType::f32, ReduceOp::sum, size, count);

  fill(one, mine);
  expect_ok(finish(group.all_reduce(one, DType::f32, ReduceOp::sum, {})));
  EXPECT_TRUE(holds(one, sum));
  std::memset(one.data, 0, bytes);  // a peer that still read here would show in its sum

  fill(one, mine);
  expect_ok(finish(group.broadcast(one, DType::f32, 0, {})));
  EXPECT_TRUE(holds(one, data_of(DType::f32, 0, count)));

  fill(one, mine);
  expect_ok(finish(group.all_gather(one, other, DType::f32, {})));
  std::memset(one.data, 0, bytes);
  for (std::int32_t peer = 0; peer < size; ++peer)
    EXPECT_TRUE(holds(other.slice(static_cast<Bytes>(peer) * bytes, bytes), data_of(DType::f32, peer, count)));

  fill(wide, data_of(DType::f32, rank, count * ranks));
  expect_ok(finish(group.reduce_scatter(wide, other.slice(0, bytes), DType::f32, ReduceOp::sum, {})));
  const Data whole = reduced(DType::f32, ReduceOp::sum, size, count * ranks);
  EXPECT_EQ(std::memcmp(other.data, whole.data() + self * bytes, bytes), 0);

  expect_ok(finish(group.all_to_all(wide, other, DType::f32, {})));
  std::memset(wide.data, 0, wide.size);
  for (std::int32_t peer = 0; peer < size; ++peer) {
    const Data theirs = data_of(DType::f32, peer, count * ranks);
    EXPECT_EQ(
        std::memcmp(other.slice(static_cast<Bytes>(peer) * bytes, bytes).data, theirs.data() + self * bytes, bytes), 0);
  }
}

TEST(Buffers, OfAllocateGiveTheSameBits) {
  for (const bool mixed : {false, true}) {
    auto communicator = Plugin::make("shm");
    with_group(*communicator, 3, [&](Group& group) {
      for (const std::size_t count : {1u, 1000u, 100'001u})
        check_all(group, mixed, count);
    });
  }
}

TEST(Buffers, OfAllocateGiveTheSameBitsInLittleMemory) {
  auto communicator = Plugin::make("shm", little_memory());
  with_group(*communicator, 4, [&](Group& group) {
    for (const std::size_t count : {1u, 5000u, 30'000u})
      check_all(group, true, count);
  });
}

TEST(Buffers, StayAfterCloseAsLongAsTheGroupDoes) {
  auto communicator = Plugin::make("shm");
  with_group(*communicator, 2, [&](Group& group) {
    const auto memory = group.allocate(1 << 16);
    ASSERT_TRUE(memory);
    expect_ok(finish(group.barrier({})));
    expect_ok(group.close(Deadline::in(patience)));
    std::memset(memory->data, 7, memory->size);
  });
}

TEST(Buffers, BeyondWhatAllocateMaySharesAreGivenAllTheSame) {
  auto communicator = Plugin::make("shm", {{.key = "allocate_memory", .value = std::string("8KiB"), .where = "test"}});
  with_group(*communicator, 2, [&](Group& group) {
    for (const std::size_t count : {1000u, 1000u, 10'000u})
      check_all(group, false, count);
  });
}

TEST(Buffers, LongerThanTheSharedMemoryGoInPieces) {
  auto communicator = Plugin::make("shm", little_memory());
  with_group(*communicator, 4, [&](Group& group) {
    const std::size_t count = (4u << 20) / sizeof(float);
    Guarded data(data_of(DType::f32, group.rank(), count));
    expect_ok(finish(group.all_reduce(data.buffer(), DType::f32, ReduceOp::sum, {})));
    EXPECT_TRUE(data.data() == reduced(DType::f32, ReduceOp::sum, 4, count));
    EXPECT_TRUE(data.intact());
    const std::int32_t next = (group.rank() + 1) % 4, before = (group.rank() + 3) % 4;
    Guarded given(data_of(DType::u8, group.rank(), 1 << 20)), taken(1 << 20);
    auto send = group.send(given.buffer(), DType::u8, next, 0, {});
    auto recv = group.recv(taken.buffer(), DType::u8, before, 0, {});
    expect_ok(finish(recv));
    expect_ok(finish(send));
    EXPECT_TRUE(taken.data() == data_of(DType::u8, before, 1 << 20));
  });
}

TEST(Buffers, OfMessagesThatNobodyAskedForAreBounded) {
  auto communicator = Plugin::make("shm", little_memory());
  with_group(*communicator, 2, [&](Group& group) {
    // Many small messages of one tag, then one of another, which is received first: what is set aside stops the ring, and
    // the wait says so.
    std::vector<std::byte> data(512);
    const Buffer all{.data = data.data(), .size = data.size()};
    if (group.rank() == 0) {
      for (int i = 0; i < 1000; ++i)
        ASSERT_TRUE(group.send(all, DType::u8, 1, 1, {}));
      auto last = group.send(all, DType::u8, 1, 2, {});
      const Status status = last->wait(Deadline::in(std::chrono::milliseconds(300)));
      EXPECT_FALSE(status);
    } else {
      const Status status = finish(group.recv(all, DType::u8, 0, 2, {}), Deadline::in(std::chrono::milliseconds(300)));
      ASSERT_FALSE(status);
      EXPECT_TRUE(status.error().message.find("bytes with other tags wait") != std::string::npos ||
                  status.error().message.find("rank 0") != std::string::npos)
          << status.error().message;
    }
  });
}

TEST(Buffers, OfMoreRanksThanCoresArriveAllTheSame) {
  auto communicator = Plugin::make("shm");
  const std::int32_t size = static_cast<std::int32_t>(std::thread::hardware_concurrency()) * 2 + 1;
  with_group(*communicator, std::min(size, 12), [&](Group& group) {
    for (int round = 0; round < 100; ++round) {
      std::int32_t value = 1;
      expect_ok(finish(group.all_reduce({.data = &value, .size = 4}, DType::i32, ReduceOp::sum, {})));
      EXPECT_EQ(value, group.size());
    }
  });
}

}  // namespace
}  // namespace weft::test
