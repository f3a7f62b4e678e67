// The arithmetic of reductions: bits, rounding, wrapping, what is no number.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "tests/conformance/communicator/calls.h"
#include "tests/conformance/communicator/groups.h"

namespace weft::conformance {
namespace {

// What all_reduce makes of one value a rank, on this rank. The value stands in an array of `count`, at its end.
double reduced_value(const Rank& rank, Group& group, DType type, ReduceOp op, std::span<const double> values,
                     std::size_t count = 1) {
  const std::size_t width = size_of(type);
  const Guarded memory(count * width);
  for (std::size_t at = 0; at < count; ++at)
    put(memory.bytes().data() + at * width, type, at + 1 == count ? values[static_cast<std::size_t>(rank.index)] : 0);
  rank.finish(group.all_reduce(memory.buffer(), type, op, {}), "all_reduce");
  for (std::size_t at = 0; at + 1 < count; ++at)
    rank.context.expect(get(memory.bytes().data() + at * width, type) == 0, "a sum of zeros is not zero");
  return get(memory.bytes().data() + (count - 1) * width, type);
}

struct Sum {
  DType type;
  std::vector<double> values;  // one a rank, three of them
  double expected;
  const char* why;
};

void expect_sums(Context& context, const std::vector<Sum>& sums) {
  World world(context);
  world.run(3, [&](Rank& rank) {
    auto group = rank.open("sums");
    for (const Sum& sum : sums)
      for (const std::size_t count : {1U, 37U}) {
        const double found = reduced_value(rank, *group, sum.type, ReduceOp::sum, sum.values, count);
        const bool right = std::isnan(sum.expected) ? std::isnan(found) : found == sum.expected;
        context.expect(right, fmt::format("{} + {} + {} in {} gave {}, expected {}: {}", sum.values[0], sum.values[1],
                                          sum.values[2], weft::to_string(sum.type), found, sum.expected, sum.why));
      }
    rank.close(group);
  });
}

// Every rank writes down what it got, bit by bit; floats whose sum depends on its order, and NaNs with different payloads.
void same_bits_everywhere(Context& context) {
  World world(context);
  for (const std::int32_t ranks : {2, 3, 4}) {
    constexpr std::size_t calls = 36;
    world.run(ranks, [&](Rank& rank) {
      auto group = rank.open(fmt::format("bits/{}", ranks));
      std::size_t at = 0;
      for (const DType type : {DType::f32, DType::f16, DType::bf16})
        for (const ReduceOp op : all_ops)
          for (const std::size_t count : {1U, 333U, 20'000U, 100'001U}) {
            const Guarded memory(count * size_of(type));
            fill(memory.bytes(), type, origin_of(rank, at, rank.index));
            if (count > 300 && rank.index != 1)
              put(memory.bytes().data() + 200 * size_of(type), type,
                  std::copysign(std::numeric_limits<double>::quiet_NaN(), rank.index == 0 ? 1.0 : -1.0));
            rank.finish(group->all_reduce(memory.buffer(), type, op, {}), "all_reduce");
            const std::size_t slot =
                (static_cast<std::size_t>(ranks) * 4 + static_cast<std::size_t>(rank.index)) * calls;
            rank.board.cell[slot + at++] = hash_of(memory.bytes());
          }
      rank.close(group);
    });
    for (std::size_t at = 0; at < calls; ++at)
      for (std::int32_t rank = 1; rank < ranks; ++rank) {
        const std::size_t first = static_cast<std::size_t>(ranks) * 4 * calls + at;
        context.expect(world.board().cell[first] == world.board().cell[first + static_cast<std::size_t>(rank) * calls],
                       fmt::format("of {} ranks, rank {} has other bits than rank 0 (call {})", ranks, rank, at));
      }
  }
}

void sixteen_bits_are_rounded_once(Context& context) {
  expect_sums(context,
              {{DType::bf16, {256, 1, 1}, 258, "summed in bf16 each 1 is lost"},
               {DType::bf16, {1, 1, 256}, 258, "summed in bf16 the last sum is rounded twice"},
               {DType::f16, {2048, 1, 1}, 2050, "summed in f16 each 1 is lost"},
               {DType::f16, {60000, 60000, -60000}, 60000, "summed in f16 the first two overflow"},
               {DType::f16, {-60000, 60000, 60000}, 60000, "summed in f16 the last two overflow"},
               {DType::bf16, {1, 0.00390625, 0.0009765625}, 1.0078125, "a half and a little rounds up, once"}});
}

void sums_go_in_rank_order(Context& context) {
  World world(context);
  for (const std::int32_t ranks : {3, 4})
    world.run(ranks, [&](Rank& rank) {
      auto group = rank.open(fmt::format("ordered/{}", ranks));
      constexpr std::size_t count = 60'000;
      for (const DType type : {DType::f32, DType::bf16}) {
        std::vector<Data> all;
        for (std::int32_t peer = 0; peer < ranks; ++peer)
          all.push_back(data_of(type, origin_of(rank, 0, peer), count));
        const Data expected = reduce(type, ReduceOp::sum, all).exact;
        const Data& mine = all[static_cast<std::size_t>(rank.index)];
        // The same elements whole, and in pieces of other lengths at other offsets.
        Guarded whole(mine.size());
        whole.fill(mine);
        rank.finish(group->all_reduce(whole.buffer(), type, ReduceOp::sum, {}), "all_reduce");
        const std::string wrong = difference(type, expected, whole.bytes());
        context.expect(wrong.empty(), fmt::format("the sum of {} ranks is not in rank order: {}", ranks, wrong));
        Guarded pieces(mine.size());
        pieces.fill(mine);
        const std::size_t width = size_of(type);
        for (std::size_t begin = 0, length = 1; begin < count; begin += length, length = length * 3 + 1)
          rank.finish(group->all_reduce(pieces.buffer().slice(begin * width, std::min(length, count - begin) * width),
                                        type, ReduceOp::sum, {}),
                      "all_reduce");
        const std::string changed = difference(type, expected, pieces.bytes());
        context.expect(changed.empty(), fmt::format("in pieces the same elements sum to other bits: {}", changed));
        // reduce_scatter goes in the same order.
        const std::size_t part = count / static_cast<std::size_t>(ranks) * width;
        const Guarded out(part);
        rank.finish(group->reduce_scatter(
                        {.data = const_cast<std::byte*>(mine.data()), .size = part * static_cast<std::size_t>(ranks)},
                        out.buffer(), type, ReduceOp::sum, {}),
                    "reduce_scatter");
        const std::string other = difference(
            type, std::span(expected).subspan(static_cast<std::size_t>(rank.index) * part, part), out.bytes());
        context.expect(other.empty(), fmt::format("reduce_scatter sums in another order: {}", other));
      }
      rank.close(group);
    });
}

void integers_wrap(Context& context) {
  expect_sums(context,
              {{DType::i32, {2147483647, 1, 0}, -2147483648.0, "i32 wraps"},
               {DType::i32, {-2147483648.0, -1, -1}, 2147483646, "i32 wraps"},
               {DType::u8, {200, 100, 1}, 45, "u8 wraps"},
               {DType::u8, {255, 255, 255}, 253, "u8 wraps"},
               {DType::i64, {4611686018427387904.0, 4611686018427387904.0, 0}, -9223372036854775808.0, "i64 wraps"},
               {DType::i64, {1099511627776.0, 1, 1}, 1099511627778.0, "i64 is not summed in f32"},
               {DType::i32, {16777216, 1, 1}, 16777218, "i32 is not summed in f32"}});
}

void what_is_no_number_goes_through(Context& context) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  constexpr double infinity = std::numeric_limits<double>::infinity();
  std::vector<Sum> sums;
  for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
    sums.push_back({type, {1, nan, 2}, nan, "a NaN stays one"});
    sums.push_back({type, {1, infinity, 2}, infinity, "an infinity stays one"});
    sums.push_back({type, {-infinity, 1, infinity}, nan, "infinities of both signs make a NaN"});
  }
  sums.push_back({DType::f16, {40000, 40000, 0}, infinity, "what f16 cannot hold is infinite"});
  sums.push_back({DType::f32, {1e-40, 1e-40, 0}, static_cast<double>(1e-40f + 1e-40f), "subnormals are not flushed"});
  sums.push_back({DType::f16, {0x1p-24, 0x1p-24, 0}, 0x1p-23, "subnormals are not flushed"});
  expect_sums(context, sums);
}

void extremes(Context& context) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  World world(context);
  world.run(3, [&](Rank& rank) {
    auto group = rank.open("extremes");
    const auto expect = [&](DType type, std::vector<double> values, double greatest, double least) {
      const double max = reduced_value(rank, *group, type, ReduceOp::max, values);
      const double min = reduced_value(rank, *group, type, ReduceOp::min, values);
      context.expect(max == greatest && min == least,
                     fmt::format("of {}, {}, {} in {} the greatest is {} and the least {}, expected {} and {}",
                                 values[0], values[1], values[2], weft::to_string(type), max, min, greatest, least));
    };
    for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
      expect(type, {-1, -3, -2}, -1, -3);
      expect(type, {-infinity, 1, infinity}, infinity, -infinity);
      expect(type, {0.5, -0.25, 2}, 2, -0.25);
    }
    expect(DType::i32, {-5, 7, -9}, 7, -9);
    expect(DType::i32, {-2147483648.0, 2147483647, 0}, 2147483647, -2147483648.0);
    expect(DType::i64, {-1099511627776.0, 5, 1099511627776.0}, 1099511627776.0, -1099511627776.0);
    expect(DType::u8, {200, 100, 3}, 200, 3);
    rank.close(group);
  });
}

constexpr Case value_rules[] = {
    {.id = "CM-20",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a reduction has the same bits on every rank",
     .rationale = "Ranks that compute on with different numbers drift apart without a trace. NaNs with their signs and "
                  "payloads too.",
     .body = same_bits_everywhere,
     .limit = std::chrono::seconds(60)},
    {.id = "CM-21",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "f16 and bf16 are summed in f32 and rounded once",
     .rationale = "Rounded at each step a sum of eight ranks loses three of bf16's eight bits.",
     .body = sixteen_bits_are_rounded_once,
     .limit = std::chrono::seconds(60)},
    {.id = "CM-22",
     .level = Level::must,
     .needs = "cap:rank_ordered_sums",
     .since = "1",
     .title =
         "where `rank_ordered_sums` is declared: sums go ((r0 + r1) + r2) + ..., whatever the offset and the length",
     .rationale =
         "An answer then depends neither on the batch nor on the part of the message it travels in: replay is exact.",
     .body = sums_go_in_rank_order,
     .limit = std::chrono::seconds(60)},
    {.id = "CM-23",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "sums of integers are exact and wrap",
     .rationale = "Counters and hashes are summed too.",
     .body = integers_wrap,
     .limit = std::chrono::seconds(60)},
    {.id = "CM-24",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "NaNs and infinities go through a sum, too large sums are infinite, and subnormals are kept",
     .rationale = "A broken activation must be seen on every rank, and a small one must not become zero on some.",
     .body = what_is_no_number_goes_through,
     .limit = std::chrono::seconds(60)},
    {.id = "CM-25",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "max and min compare as the type does: signed, unsigned or floating",
     .rationale = "With a NaN among the operands the result is one of them, which one is not promised; nor is the sign "
                  "of a zero.",
     .body = extremes,
     .limit = std::chrono::seconds(60)},
};

}  // namespace

std::span<const Case> value_cases() { return value_rules; }

}  // namespace weft::conformance
