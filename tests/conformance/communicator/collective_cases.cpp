// What each collective gives, for every element type, reduction, length and place in memory.
#include <fmt/format.h>

#include "tests/conformance/communicator/calls.h"
#include "tests/conformance/communicator/groups.h"

namespace weft::conformance {
namespace {

constexpr std::size_t page = 4096;
constexpr std::size_t mebibyte = std::size_t{1} << 20;
constexpr std::chrono::seconds product_limit{240};  // the product of level full takes its time

void try_collective(Context& context, Collective collective) {
  std::vector<std::int32_t> ranks = {1, 2, 3, 4};
  if (collective == Collective::message) ranks.erase(ranks.begin());
  Sweep wanted{.collective = collective, .ranks = ranks, .bytes = {0, 1, 76, page - 1, page, page + 1, mebibyte}};
  if (context.level() != Level::must) {
    wanted.ranks.push_back(8);
    wanted.whole = true;
  }
  sweep(context, wanted);
}

void all_reduce(Context& context) { try_collective(context, Collective::all_reduce); }
void all_gather(Context& context) { try_collective(context, Collective::all_gather); }
void reduce_scatter(Context& context) { try_collective(context, Collective::reduce_scatter); }
void broadcast(Context& context) { try_collective(context, Collective::broadcast); }
void all_to_all(Context& context) { try_collective(context, Collective::all_to_all); }
void all_to_all_v(Context& context) { try_collective(context, Collective::all_to_all_v); }
void messages(Context& context) { try_collective(context, Collective::message); }

constexpr Collective every_collective[] = {Collective::all_reduce, Collective::all_gather, Collective::reduce_scatter,
                                           Collective::broadcast,  Collective::all_to_all, Collective::all_to_all_v,
                                           Collective::message};

// Each rank counts itself before it comes; nobody may leave before all are counted.
void barrier(Context& context) {
  constexpr std::uint64_t rounds = 50;
  World world(context);
  for (const std::int32_t ranks : {1, 2, 3, 4})
    world.run(ranks, [&](Rank& rank) {
      auto group = rank.open(fmt::format("barrier/{}", ranks));
      std::atomic<std::uint64_t>& come = rank.board.cell[ranks];
      for (std::uint64_t round = 1; round <= rounds; ++round) {
        // One rank comes late, another each round.
        if (static_cast<std::int32_t>(round) % ranks == rank.index)
          rank.mark_within(fmt::format("never/{}", ranks), std::chrono::milliseconds(1));
        ++come;
        rank.finish(group->barrier({}), "barrier");
        const std::uint64_t there = come.load();
        context.expect(there >= round * static_cast<std::uint64_t>(ranks),
                       fmt::format("a rank left barrier {} of {} ranks when only {} arrivals of {} had been", round,
                                   ranks, there, round * static_cast<std::uint64_t>(ranks)));
      }
      rank.close(group);
    });
}

// Around small and odd sizes, where whole words and vectors are tempting.
void nothing_else_is_written(Context& context) {
  World world(context);
  world.run(3, [&](Rank& rank) {
    auto group = rank.open("surroundings");
    std::uint64_t salt = 0;
    for (const Collective collective : every_collective)
      for (const DType type : {DType::u8, DType::bf16, DType::f32})
        for (const std::size_t count : {1U, 2U, 3U, 5U, 7U, 9U, 15U, 17U, 31U, 33U, 63U, 65U, 127U, 4095U})
          for (const std::size_t offset : {0U, 1U, 5U})
            perform(rank, *group,
                    {.collective = collective,
                     .type = type,
                     .count = count,
                     .offset = offset,
                     .allocated = count == 17,
                     .salt = ++salt});
    rank.close(group);
  });
}

void empty_operations(Context& context) {
  World world(context);
  world.run(3, [&](Rank& rank) {
    auto group = rank.open("empty");
    for (const Collective collective : every_collective)
      for (const DType type : all_types)
        perform(rank, *group, {.collective = collective, .type = type});
    // No buffer at all is a buffer of no bytes.
    const std::vector<Bytes> none(3, 0);
    rank.finish(group->all_reduce({}, DType::f32, ReduceOp::sum, {}), "all_reduce without a buffer");
    rank.finish(group->all_gather({}, {}, DType::f32, {}), "all_gather without a buffer");
    rank.finish(group->reduce_scatter({}, {}, DType::f32, ReduceOp::sum, {}), "reduce_scatter without a buffer");
    rank.finish(group->broadcast({}, DType::f32, 2, {}), "broadcast without a buffer");
    rank.finish(group->all_to_all({}, {}, DType::f32, {}), "all_to_all without a buffer");
    rank.finish(group->all_to_all_v({}, none, {}, none, DType::f32, {}), "all_to_all_v without a buffer");
    perform(rank, *group, {.type = DType::i64, .count = 9});
    rank.close(group);
  });
}

void a_group_of_one(Context& context) {
  World world(context);
  world.run(1, [&](Rank& rank) {
    auto group = rank.open("alone");
    context.expect(group->rank() == 0 && group->size() == 1, "rank and size of a group of one are not 0 and 1");
    std::uint64_t salt = 0;
    for (const Collective collective : every_collective)
      for (const std::size_t count : {0U, 1U, 1001U})
        if (collective != Collective::message)
          perform(rank, *group, {.collective = collective, .type = DType::bf16, .count = count, .salt = ++salt});
    rank.finish(group->barrier({}), "barrier");
    rank.close(group);
  });
  world.expect_no_keys("after the close of a group of one");
}

void allocate_gives_memory(Context& context) {
  World world(context);
  world.run(2, [&](Rank& rank) {
    auto group = rank.open("memory");
    std::vector<Buffer> all;
    for (const Bytes bytes : {1U, 63U, 4096U, 4097U, 1U << 20, 3U}) {
      const Buffer memory = context.take(group->allocate(bytes), fmt::format("allocate({})", bytes));
      context.expect(memory.size == bytes, fmt::format("allocate({}) gave {} bytes", bytes, memory.size));
      context.expect(memory.kind != MemoryKind::device, "allocate gave device memory to a group of host memory");
      context.expect(
          memory.data != nullptr && reinterpret_cast<std::uintptr_t>(memory.data) % sizeof(std::int64_t) == 0,
          fmt::format("allocate({}) gave {}, expected an address that every element type may have", bytes,
                      memory.data));
      std::fill(memory.as<std::byte>(), memory.as<std::byte>() + bytes, static_cast<std::byte>(all.size() + 1));
      all.push_back(memory);
    }
    context.take(group->allocate(0), "allocate(0)");
    for (std::size_t at = 0; at < all.size(); ++at)
      for (Bytes byte = 0; byte < all[at].size; ++byte)
        context.expect(all[at].as<std::byte>()[byte] == static_cast<std::byte>(at + 1),
                       "two pieces of allocated memory overlap");
    for (const Bytes bytes : {Bytes{1} << 50, Bytes{1} << 62, ~Bytes{0}})
      context.expect_error(group->allocate(bytes), ErrorCode::resource_exhausted, fmt::format("allocate({})", bytes));
    perform(rank, *group, {.type = DType::f32, .count = 1000, .allocated = true});
    rank.close(group);
  });
}

void large_ones(Context& context) {
  World world(context);
  world.run(2, [&](Rank& rank) {
    auto group = rank.open("large");
    std::uint64_t salt = 0;
    for (const Collective collective : every_collective)
      for (const DType type : {DType::f32, DType::bf16}) {
        const bool whole = collective == Collective::all_reduce || collective == Collective::broadcast ||
                           collective == Collective::message;
        const std::size_t count = (mebibyte << 6) / size_of(type) / (whole ? 1 : 2);
        perform(rank, *group, {.collective = collective, .type = type, .count = count, .salt = ++salt});
      }
    rank.close(group);
  });
}

void eight_ranks(Context& context) {
  World world(context);
  world.run(8, [&](Rank& rank) {
    auto group = rank.open("eight");
    std::uint64_t salt = 0;
    for (const Collective collective : every_collective)
      for (const std::size_t count : {1U, 1001U, 70'001U})
        perform(rank, *group,
                {.collective = collective, .type = DType::bf16, .count = count, .root = 5, .salt = ++salt});
    rank.finish(group->barrier({}), "barrier");
    rank.close(group);
  });
}

constexpr const char* for_all =
    "Every type, reduction and length, also 0, 1, and round a page, anywhere in memory: "
    "pairs of them at level must, each with each at level full.";

constexpr Case collective_rules[] = {
    {.id = "CM-01",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "all_reduce leaves the reduction of all ranks' elements on every rank",
     .rationale = for_all,
     .body = all_reduce,
     .limit = product_limit},
    {.id = "CM-02",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "all_gather puts the ranks' parts end to end, in rank order, on every rank",
     .rationale = for_all,
     .body = all_gather,
     .limit = product_limit},
    {.id = "CM-03",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "reduce_scatter gives each rank its part of the reduction",
     .rationale = for_all,
     .body = reduce_scatter,
     .limit = product_limit},
    {.id = "CM-04",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "broadcast gives every rank the root's elements, whichever rank is the root",
     .rationale = for_all,
     .body = broadcast,
     .limit = product_limit},
    {.id = "CM-05",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "all_to_all gives part p of each rank to rank p, in rank order",
     .rationale = for_all,
     .body = all_to_all,
     .limit = product_limit},
    {.id = "CM-06",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "all_to_all_v does so with parts of different lengths, empty ones among them",
     .rationale = for_all,
     .body = all_to_all_v,
     .limit = product_limit},
    {.id = "CM-07",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "recv gets the elements that the peer sent with the same tag",
     .rationale = for_all,
     .body = messages,
     .limit = product_limit},
    {.id = "CM-08",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "nobody leaves a barrier before every rank has come to it",
     .rationale = "It is how ranks agree that something is over.",
     .body = barrier,
     .limit = std::chrono::seconds(60)},
    {.id = "CM-09",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "nothing outside the outputs is written, and inputs stay as they are",
     .rationale =
         "What lies beside a tensor is another tensor. Checked with every call of the suite; here round the small and "
         "odd sizes where whole words are tempting.",
     .body = nothing_else_is_written,
     .limit = std::chrono::seconds(60)},
    {.id = "CM-10",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "operations on no elements are no error and write nothing, with a buffer or without",
     .rationale = "An idle rank steps with an empty batch.",
     .body = empty_operations,
     .limit = std::chrono::seconds(60)},
    {.id = "CM-11",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a group of one does every collective with itself",
     .rationale = "tp = 1 is a size like any other.",
     .body = a_group_of_one,
     .limit = std::chrono::seconds(60)},
    {.id = "CM-12",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "allocate gives exactly the bytes asked for, apart from all others, and resource_exhausted where there "
              "are none",
     .rationale = "2^50, 2^62 and 2^64 - 1 bytes are asked for; the group works on.",
     .body = allocate_gives_memory,
     .limit = std::chrono::seconds(60)},
    {.id = "CM-13",
     .level = Level::full,
     .needs = "",
     .since = "1",
     .title = "every collective moves 64 MiB of f32 and bf16 between two ranks",
     .rationale = "Sizes beyond every buffer on the way.",
     .body = large_ones,
     .limit = product_limit},
    {.id = "CM-14",
     .level = Level::full,
     .needs = "",
     .since = "1",
     .title = "eight ranks do every collective",
     .rationale = "A machine full of accelerators is one group.",
     .body = eight_ranks,
     .limit = std::chrono::seconds(60)},
};

}  // namespace

std::span<const Case> collective_cases() { return collective_rules; }

}  // namespace weft::conformance
