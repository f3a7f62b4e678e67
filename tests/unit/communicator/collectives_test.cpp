// Every collective, element type and awkward length, on 1 to 4 ranks, against a naive reference.
#include <algorithm>

#include "tests/support/communicator/ranks.h"
#include "tests/support/communicator/reference.h"

namespace weft::test {
namespace {

// In elements. The last ones need several frames and, for more than two ranks, two exchanges.
const std::vector<std::size_t> counts = {0, 1, 3, 127, 4095, 4097, 40'961};

class Ranks : public testing::TestWithParam<std::tuple<const char*, std::int32_t>> {
 protected:
  static std::int32_t ranks() { return std::get<1>(GetParam()); }
  static void with_ranks(const std::function<void(Group&)>& body) {
    auto communicator = Plugin::make(std::get<0>(GetParam()));
    with_group(*communicator, ranks(), body);
  }
};
INSTANTIATE_TEST_SUITE_P(OneToFour, Ranks,
                         testing::Combine(testing::Values("gloo", "shm"), testing::Values(1, 2, 3, 4)),
                         [](const auto& each) {
                           return std::get<0>(each.param) + std::string("_") + std::to_string(std::get<1>(each.param));
                         });

void for_each_case(const std::function<void(DType, std::size_t)>& body) {
  for (const DType type : all_types)
    for (const std::size_t count : counts) {
      SCOPED_TRACE(testing::Message() << to_string(type) << " x " << count);
      body(type, count);
    }
}

std::size_t index(std::int32_t rank) { return static_cast<std::size_t>(rank); }

TEST_P(Ranks, AllReduceSumsInRankOrderWhateverTheLength) {
  const std::int32_t size = ranks();
  with_ranks([&](Group& group) {
    for_each_case([&](DType type, std::size_t count) {
      Guarded data(data_of(type, group.rank(), count));
      expect_ok(finish(group.all_reduce(data.buffer(), type, ReduceOp::sum, {})));
      EXPECT_EQ(data.data(), reduced(type, ReduceOp::sum, size, count));
      EXPECT_TRUE(data.intact());
    });
  });
}

TEST_P(Ranks, AllReduceFindsTheGreatestAndTheLeast) {
  const std::int32_t size = ranks();
  with_ranks([&](Group& group) {
    for_each_case([&](DType type, std::size_t count) {
      for (const ReduceOp op : {ReduceOp::max, ReduceOp::min}) {
        Guarded data(data_of(type, group.rank(), count));
        expect_ok(finish(group.all_reduce(data.buffer(), type, op, {})));
        EXPECT_EQ(data.data(), reduced(type, op, size, count));
      }
    });
  });
}

TEST_P(Ranks, AllReduceOfAMebibyteIsTheSameAtEveryOffset) {
  const std::int32_t size = ranks();
  const std::size_t count = (1u << 20) / sizeof(float);
  const Data whole = reduced(DType::f32, ReduceOp::sum, size, count);
  with_ranks([&](Group& group) {
    const Data mine = data_of(DType::f32, group.rank(), count);
    Guarded data(mine);
    expect_ok(finish(group.all_reduce(data.buffer(), DType::f32, ReduceOp::sum, {})));
    EXPECT_TRUE(data.data() == whole);
    // The same elements in pieces of other lengths have the same bits.
    Guarded pieces(mine);
    for (Bytes offset = 0, length = 4; offset < mine.size(); offset += length, length = length * 3 + 4) {
      const Bytes now = std::min<Bytes>(length, mine.size() - offset);
      expect_ok(finish(group.all_reduce(pieces.buffer().slice(offset, now), DType::f32, ReduceOp::sum, {})));
    }
    EXPECT_TRUE(pieces.data() == whole);
  });
}

TEST_P(Ranks, AllGatherPutsPartsInRankOrder) {
  const std::int32_t size = ranks();
  with_ranks([&](Group& group) {
    for_each_case([&](DType type, std::size_t count) {
      Data expected;
      for (std::int32_t rank = 0; rank < size; ++rank) {
        const Data part = data_of(type, rank, count);
        expected.insert(expected.end(), part.begin(), part.end());
      }
      Guarded in(data_of(type, group.rank(), count));
      Guarded out(expected.size());
      expect_ok(finish(group.all_gather(in.buffer(), out.buffer(), type, {})));
      EXPECT_TRUE(out.data() == expected);
      EXPECT_TRUE(out.intact());
      // In place: `in` is this rank's part of `out`.
      Guarded both(expected.size());
      const Buffer own = both.buffer().slice(index(group.rank()) * in.buffer().size, in.buffer().size);
      std::copy_n(in.buffer().as<std::byte>(), own.size, own.as<std::byte>());
      expect_ok(finish(group.all_gather(own, both.buffer(), type, {})));
      EXPECT_TRUE(both.data() == expected);
    });
  });
}

TEST_P(Ranks, ReduceScatterGivesEachRankItsPartOfTheSum) {
  const std::int32_t size = ranks();
  with_ranks([&](Group& group) {
    for_each_case([&](DType type, std::size_t count) {
      const Data sum = reduced(type, ReduceOp::sum, size, count * index(size));
      const Bytes part = count * size_of(type);
      Guarded in(data_of(type, group.rank(), count * index(size)));
      Guarded out(part);
      expect_ok(finish(group.reduce_scatter(in.buffer(), out.buffer(), type, ReduceOp::sum, {})));
      const auto begin = sum.begin() + static_cast<std::ptrdiff_t>(index(group.rank()) * part);
      EXPECT_TRUE(out.data() == Data(begin, begin + static_cast<std::ptrdiff_t>(part)));
      EXPECT_TRUE(out.intact() && in.intact());
    });
  });
}

TEST_P(Ranks, BroadcastGivesEverybodyTheRootsData) {
  const std::int32_t size = ranks();
  with_ranks([&](Group& group) {
    for_each_case([&](DType type, std::size_t count) {
      for (std::int32_t root = 0; root < size; ++root) {
        Guarded data(data_of(type, group.rank(), count));
        expect_ok(finish(group.broadcast(data.buffer(), type, root, {})));
        EXPECT_TRUE(data.data() == data_of(type, root, count));
        EXPECT_TRUE(data.intact());
      }
    });
  });
}

// Part `to` of what rank `from` sends.
Data part_of(DType type, std::int32_t from, std::int32_t to, std::size_t count) {
  return data_of(type, from * 16 + to, count);
}

TEST_P(Ranks, AllToAllExchangesEqualParts) {
  const std::int32_t size = ranks();
  with_ranks([&](Group& group) {
    for_each_case([&](DType type, std::size_t count) {
      Data given, expected;
      for (std::int32_t peer = 0; peer < size; ++peer) {
        const Data to = part_of(type, group.rank(), peer, count), from = part_of(type, peer, group.rank(), count);
        given.insert(given.end(), to.begin(), to.end());
        expected.insert(expected.end(), from.begin(), from.end());
      }
      Guarded in(given), out(expected.size());
      expect_ok(finish(group.all_to_all(in.buffer(), out.buffer(), type, {})));
      EXPECT_TRUE(out.data() == expected);
      EXPECT_TRUE(out.intact());
    });
  });
}

TEST_P(Ranks, AllToAllVExchangesPartsOfAnyLengthEmptyOnesToo) {
  const std::int32_t size = ranks();
  const auto length = [](std::size_t count, std::int32_t from, std::int32_t to) {
    return count * ((index(from) * 3 + index(to)) % 4);
  };
  with_ranks([&](Group& group) {
    for_each_case([&](DType type, std::size_t count) {
      Data given, expected;
      std::vector<Bytes> in_parts, out_parts;
      for (std::int32_t peer = 0; peer < size; ++peer) {
        const Data to = part_of(type, group.rank(), peer, length(count, group.rank(), peer));
        const Data from = part_of(type, peer, group.rank(), length(count, peer, group.rank()));
        given.insert(given.end(), to.begin(), to.end());
        expected.insert(expected.end(), from.begin(), from.end());
        in_parts.push_back(to.size());
        out_parts.push_back(from.size());
      }
      Guarded in(given), out(expected.size());
      expect_ok(finish(group.all_to_all_v(in.buffer(), in_parts, out.buffer(), out_parts, type, {})));
      EXPECT_TRUE(out.data() == expected);
      EXPECT_TRUE(out.intact());
    });
  });
}

TEST_P(Ranks, NobodyLeavesABarrierBeforeAllHaveCome) {
  const std::int32_t size = ranks();
  std::atomic<int> here{0};
  with_ranks([&](Group& group) {
    for (int round = 1; round <= 50; ++round) {
      ++here;
      expect_ok(finish(group.barrier({})));
      EXPECT_GE(here.load(), round * size);
    }
  });
}

TEST_P(Ranks, OperationsMayBeCalledBeforeTheLastOneIsWaitedFor) {
  const std::int32_t size = ranks();
  with_ranks([&](Group& group) {
    Guarded first(data_of(DType::f32, group.rank(), 100)), second(data_of(DType::i64, group.rank(), 100));
    auto one = group.all_reduce(first.buffer(), DType::f32, ReduceOp::sum, {});
    auto two = group.all_reduce(second.buffer(), DType::i64, ReduceOp::max, {});
    ASSERT_TRUE(one && two);
    expect_ok(two->wait(Deadline::in(patience)));
    expect_ok(one->wait(Deadline::in(patience)));
    expect_ok(one->wait(Deadline::in(patience)));
    EXPECT_TRUE(one->done() && two->done());
    EXPECT_EQ(first.data(), reduced(DType::f32, ReduceOp::sum, size, 100));
    EXPECT_EQ(second.data(), reduced(DType::i64, ReduceOp::max, size, 100));
  });
}

}  // namespace
}  // namespace weft::test
