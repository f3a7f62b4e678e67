// send and recv.
#include <fmt/format.h>

#include "tests/conformance/communicator/calls.h"
#include "tests/conformance/communicator/groups.h"

namespace weft::conformance {
namespace {

// One message's memory and what stands in it: elements of rank `from`, others for each `number` (and each pair of ranks).
struct Letter {
  explicit Letter(std::size_t count) : memory(count * sizeof(std::int32_t)), elements(count) {}
  Letter(const Rank& rank, std::size_t count, std::uint64_t number) : Letter(count) {
    fill(memory.bytes(), DType::i32, origin_of(rank, number, rank.index));
  }

  void expect(const Rank& rank, std::int32_t from, std::uint64_t number, std::string_view which) const {
    const std::string wrong =
        difference(DType::i32, Parts{{.origin = origin_of(rank, number, from), .count = elements}}, memory.bytes());
    rank.context.expect(wrong.empty() && memory.intact(),
                        fmt::format("{}, at rank {} from rank {}: {}", which, rank.index, from,
                                    wrong.empty() ? "memory outside was written" : wrong));
  }

  Guarded memory;
  std::size_t elements;
};

void finish_all(const Rank& rank, std::vector<Result<Work>> works, std::string_view doing) {
  for (Result<Work>& work : works)
    rank.finish(std::move(work), doing);
}

// Lengths change from one message to the next, so that two that are exchanged cannot look alike.
std::size_t length_of(std::size_t number) { return 1 + number % 5 * 3; }

void in_order(Context& context) {
  World world(context);
  world.run(2, [&](Rank& rank) {
    auto group = rank.open("order");
    constexpr std::size_t letters = 40;
    constexpr std::size_t same = 7;  // elements: with one length only the order tells messages apart
    for (std::size_t number = 0; number < letters; ++number) {
      if (rank.index == 0) {
        const Letter letter(rank, same, number);
        rank.finish(group->send(letter.memory.buffer(), DType::i32, 1, 3, {}), "send");
      } else {
        Letter taken(same);
        rank.finish(group->recv(taken.memory.buffer(), DType::i32, 0, 3, {}), "recv");
        taken.expect(rank, 0, number, fmt::format("message {} of {} with one tag", number, letters));
      }
    }
    // The same with all of them under way at once.
    std::vector<Letter> all;
    std::vector<Result<Work>> works;
    all.reserve(letters);
    for (std::size_t number = 0; number < letters; ++number) {
      all.push_back(rank.index == 1 ? Letter(rank, same, 100 + number) : Letter(same));
      const Buffer buffer = all.back().memory.buffer();
      works.push_back(rank.index == 1 ? group->send(buffer, DType::i32, 0, 3, {})
                                      : group->recv(buffer, DType::i32, 1, 3, {}));
    }
    finish_all(rank, std::move(works), "messages under way at once");
    for (std::size_t number = 0; number < letters && rank.index == 0; ++number)
      all[number].expect(rank, 1, 100 + number, fmt::format("message {} of {} under way at once", number, letters));
    rank.close(group);
  });
}

void tags_are_apart(Context& context) {
  World world(context);
  world.run(2, [&](Rank& rank) {
    auto group = rank.open("tags");
    constexpr std::uint32_t tags[] = {0, 1, 256, 65535};
    constexpr std::size_t rounds = 5;
    std::vector<Letter> all;
    std::vector<Result<Work>> works;
    all.reserve(rounds * std::size(tags));
    const auto salt = [](std::size_t round, std::uint32_t tag) { return round * 100'000 + tag; };
    if (rank.index == 0) {
      for (std::size_t round = 0; round < rounds; ++round)
        for (const std::uint32_t tag : tags) {
          all.emplace_back(rank, 11, salt(round, tag));
          works.push_back(group->send(all.back().memory.buffer(), DType::i32, 1, tag, {}));
        }
      finish_all(rank, std::move(works), "send");
    } else {
      // The tags the other way round, one after the other to its end.
      for (std::size_t at = std::size(tags); at-- > 0;)
        for (std::size_t round = 0; round < rounds; ++round) {
          Letter taken(11);
          rank.finish(group->recv(taken.memory.buffer(), DType::i32, 0, tags[at], {}), "recv");
          taken.expect(rank, 0, salt(round, tags[at]), fmt::format("message {} with tag {}", round, tags[at]));
        }
    }
    rank.close(group);
  });
}

void beside_collectives(Context& context) {
  World world(context);
  world.run(3, [&](Rank& rank) {
    auto group = rank.open("beside");
    for (std::size_t round = 0; round < 10; ++round) {
      Letter out(rank, length_of(round), round);
      Letter in(length_of(round));
      Result<Work> taken = group->recv(in.memory.buffer(), DType::i32, (rank.index + 2) % 3, 9, {});
      perform(rank, *group, {.type = DType::f32, .count = 3000, .salt = round});
      Result<Work> sent = group->send(out.memory.buffer(), DType::i32, (rank.index + 1) % 3, 9, {});
      perform(rank, *group, {.collective = Collective::all_gather, .type = DType::u8, .count = 77, .salt = round});
      rank.finish(std::move(sent), "send between collectives");
      rank.finish(std::move(taken), "recv begun before a collective");
      in.expect(rank, (rank.index + 2) % 3, round, "a message between collectives");
    }
    rank.close(group);
  });
}

// Both ranks give before they take: nobody may wait inside send() for the other's recv().
void both_ways_at_once(Context& context) {
  World world(context);
  world.run(2, [&](Rank& rank) {
    auto group = rank.open("both");
    for (const std::size_t count : {std::size_t{1}, std::size_t{1} << 18}) {
      Letter out(rank, count, 0);
      Letter in(count);
      Result<Work> sent = group->send(out.memory.buffer(), DType::i32, 1 - rank.index, 5, {});
      Result<Work> taken = group->recv(in.memory.buffer(), DType::i32, 1 - rank.index, 5, {});
      rank.finish(std::move(sent), "send");
      rank.finish(std::move(taken), "recv");
      in.expect(rank, 1 - rank.index, 0, fmt::format("{} elements both ways", count));
    }
    rank.close(group);
  });
}

void all_pairs_at_once(Context& context) {
  World world(context);
  world.run(4, [&](Rank& rank) {
    auto group = rank.open("pairs");
    std::vector<Letter> out;
    std::vector<Letter> in;
    std::vector<Result<Work>> works;
    out.reserve(8);
    in.reserve(8);
    for (std::int32_t peer = 0; peer < 4; ++peer) {
      if (peer == rank.index) continue;
      out.emplace_back(rank, 5000, static_cast<std::uint64_t>(peer));
      works.push_back(group->send(out.back().memory.buffer(), DType::i32, peer, 1, {}));
    }
    for (std::int32_t peer = 3; peer >= 0; --peer) {
      if (peer == rank.index) continue;
      in.emplace_back(5000);
      works.push_back(group->recv(in.back().memory.buffer(), DType::i32, peer, 1, {}));
    }
    finish_all(rank, std::move(works), "messages between all pairs");
    std::size_t at = 0;
    for (std::int32_t peer = 3; peer >= 0; --peer)
      if (peer != rank.index)
        in[at++].expect(rank, peer, static_cast<std::uint64_t>(rank.index), "a message of one of all pairs");
    rank.close(group);
  });
}

constexpr Case message_rules[] = {
    {.id = "CM-30",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "messages of one pair of ranks and one tag come in the order in which they were sent",
     .rationale = "A pipeline's stages count micro-batches by their order.",
     .body = in_order,
     .limit = std::chrono::seconds(60)},
    {.id = "CM-31",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a message waits for none of another tag; tags go from 0 to 65535",
     .rationale = "The receiver chooses the order of its tags.",
     .body = tags_are_apart,
     .limit = std::chrono::seconds(60)},
    {.id = "CM-32",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "messages and collectives of a group do not disturb each other",
     .rationale = "A stage receives the next activations while it reduces the last.",
     .body = beside_collectives,
     .limit = std::chrono::seconds(60)},
    {.id = "CM-33",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "send() does not wait for the peer's recv(): two ranks may send to each other first, 1 MiB too",
     .rationale = "Neighbours exchange; which of them is first nobody knows.",
     .body = both_ways_at_once,
     .limit = std::chrono::seconds(60)},
    {.id = "CM-34",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "all pairs of ranks may exchange messages at once",
     .rationale = "Messages of different peers share nothing.",
     .body = all_pairs_at_once,
     .limit = std::chrono::seconds(60)},
};

}  // namespace

std::span<const Case> message_cases() { return message_rules; }

}  // namespace weft::conformance
