// send and recv.
#include <gmock/gmock.h>

#include "tests/support/communicator/ranks.h"
#include "tests/support/communicator/reference.h"

namespace weft::test {
namespace {

WEFT_FOR_EACH_PLUGIN(Messages);

TEST_P(Messages, OfEveryTypeAndLengthArriveWhole) {
  with_group(*make(), 2, [&](Group& group) {
    for (const DType type : all_types)
      for (const std::size_t count : {0u, 1u, 4095u, 4097u, 300'000u}) {
        Guarded given(data_of(type, group.rank(), count)), taken(count * size_of(type));
        const std::int32_t peer = 1 - group.rank();
        // Both send first: neither waits for the other to receive.
        auto send = group.send(given.buffer(), type, peer, 5, {});
        auto recv = group.recv(taken.buffer(), type, peer, 5, {});
        expect_ok(finish(send));
        expect_ok(finish(recv));
        EXPECT_TRUE(taken.data() == data_of(type, count == 0 ? 0 : peer, count));
        EXPECT_TRUE(taken.intact());
      }
  });
}

TEST_P(Messages, AreFirstInFirstOutForEachTag) {
  const std::uint32_t tags[] = {0, 1, 65535};
  const std::int32_t rounds = 100;
  with_group(*make(), 2, [&](Group& group) {
    std::vector<std::int32_t> numbers(3 * rounds);
    std::vector<Work> works;
    if (group.rank() == 0) {
      for (std::int32_t i = 0; i < 3 * rounds; ++i) {
        numbers[static_cast<std::size_t>(i)] = i;
        auto work =
            group.send({.data = &numbers[static_cast<std::size_t>(i)], .size = 4}, DType::i32, 1, tags[i % 3], {});
        ASSERT_TRUE(work);
        works.push_back(*work);
      }
      for (Work& work : works)
        expect_ok(work.wait(Deadline::in(patience)));
      return;
    }
    // Taken tag by tag, the last tag first.
    for (std::int32_t tag = 2; tag >= 0; --tag)
      for (std::int32_t i = 0; i < rounds; ++i) {
        std::int32_t number = -1;
        expect_ok(finish(group.recv({.data = &number, .size = 4}, DType::i32, 0, tags[tag], {})));
        EXPECT_EQ(number, i * 3 + tag);
      }
  });
}

TEST_P(Messages, GoBetweenAnyTwoRanksAmidCollectives) {
  const std::int32_t size = 4;
  with_group(*make(), size, [&](Group& group) {
    const std::int32_t next = (group.rank() + 1) % size, before = (group.rank() + size - 1) % size;
    for (std::int32_t round = 0; round < 20; ++round) {
      Guarded given(data_of(DType::f32, group.rank(), 5000)), taken(20'000),
          sum(data_of(DType::f32, group.rank(), 300));
      auto recv = group.recv(taken.buffer(), DType::f32, before, 3, {});
      auto all = group.all_reduce(sum.buffer(), DType::f32, ReduceOp::sum, {});
      auto send = group.send(given.buffer(), DType::f32, next, 3, {});
      expect_ok(finish(recv));
      expect_ok(finish(send));
      expect_ok(finish(all));
      EXPECT_TRUE(taken.data() == data_of(DType::f32, before, 5000));
      EXPECT_TRUE(sum.data() == reduced(DType::f32, ReduceOp::sum, size, 300));
    }
  });
}

TEST_P(Messages, MayBeSentLongBeforeTheyAreTaken) {
  with_group(*make(), 2, [&](Group& group) {
    std::vector<std::int64_t> data(1 << 16, group.rank());
    const Buffer all{.data = data.data(), .size = data.size() * 8};
    if (group.rank() == 0) {
      auto work = group.send(all, DType::i64, 1, 9, {});
      expect_ok(finish(group.barrier({})));
      expect_ok(finish(work));
    } else {
      expect_ok(finish(group.barrier({})));
      expect_ok(finish(group.recv(all, DType::i64, 0, 9, {})));
      EXPECT_EQ(data.back(), 0);
    }
  });
}

}  // namespace
}  // namespace weft::test
