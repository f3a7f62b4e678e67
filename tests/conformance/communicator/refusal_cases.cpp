// Calls that cannot be: refused before anything is sent, so that the group stays as it was.
#include <fmt/format.h>

#include <functional>

#include "tests/conformance/communicator/calls.h"
#include "tests/conformance/communicator/groups.h"

namespace weft::conformance {
namespace {

struct Wrong {
  const char* what;
  std::function<Result<Work>(Group&)> call;
};

// Rank 0 calls what is wrong, the other does not know; both go on. `codes`: any of them.
void expect_refused(Context& context, const std::function<std::vector<Wrong>(Buffer)>& wrongs,
                    std::vector<ErrorCode> codes = {ErrorCode::invalid_argument}) {
  World world(context);
  world.run(2, [&](Rank& rank) {
    auto group = rank.open("refusals");
    const Guarded memory(4096);
    std::uint64_t salt = 0;
    for (const Wrong& wrong : wrongs(memory.buffer())) {
      if (rank.index == 0) {
        const Time began = Clock::now();
        const Result<Work> work = wrong.call(*group);
        context.expect(!work, fmt::format("{}: it is taken, expected {}", wrong.what, to_string(codes.front())));
        const Error& error = work.error();
        context.expect(
            std::find(codes.begin(), codes.end(), error.code) != codes.end() && !error.message.empty(),
            fmt::format("{}: {}, expected {} and a message", wrong.what, to_string(error), to_string(codes.front())));
        context.expect(Clock::now() - began < rank.scaled(std::chrono::seconds(1)),
                       fmt::format("{}: the refusal took over a second: it waited for somebody", wrong.what));
        for (const std::byte byte : memory.bytes())
          context.expect(byte == memory.bytes()[0], fmt::format("{}: the buffer was written", wrong.what));
      }
      perform(rank, *group, {.type = DType::i32, .count = 5, .salt = ++salt});
    }
    rank.close(group);
  });
}

void wrong_sizes(Context& context) {
  expect_refused(context, [](Buffer all) -> std::vector<Wrong> {
    static constexpr Bytes one[] = {16};
    static constexpr Bytes even[] = {8, 8};
    static constexpr Bytes beyond[] = {8, 16};
    static constexpr Bytes broken[] = {6, 10};
    static constexpr Bytes huge[] = {~Bytes{0} - 7, 24};  // their sum is 16
    static constexpr Bytes three[] = {4, 4, 8};
    const auto part = [all](Bytes bytes) { return all.slice(0, bytes); };
    const Buffer other = all.slice(1024, 16);
    return {
        {"all_reduce of half an element",
         [=](Group& g) { return g.all_reduce(part(6), DType::f32, ReduceOp::sum, {}); }},
        {"broadcast of half an element", [=](Group& g) { return g.broadcast(part(7), DType::i64, 0, {}); }},
        {"all_gather of half an element",
         [=](Group& g) { return g.all_gather(part(1), other.slice(0, 2), DType::f16, {}); }},
        {"all_gather into one part", [=](Group& g) { return g.all_gather(part(16), other, DType::u8, {}); }},
        {"all_gather into more than the parts", [=](Group& g) { return g.all_gather(part(4), other, DType::u8, {}); }},
        {"reduce_scatter of one part",
         [=](Group& g) { return g.reduce_scatter(part(16), other, DType::u8, ReduceOp::sum, {}); }},
        {"reduce_scatter into a smaller part",
         [=](Group& g) { return g.reduce_scatter(part(16), other.slice(0, 4), DType::f32, ReduceOp::max, {}); }},
        {"all_to_all of parts that are no whole elements",
         [=](Group& g) { return g.all_to_all(part(12), other.slice(0, 12), DType::f32, {}); }},
        {"all_to_all into another size",
         [=](Group& g) { return g.all_to_all(part(16), other.slice(0, 8), DType::u8, {}); }},
        {"all_to_all_v with too few parts",
         [=](Group& g) { return g.all_to_all_v(part(16), one, other, even, DType::u8, {}); }},
        {"all_to_all_v with too many parts",
         [=](Group& g) { return g.all_to_all_v(part(16), even, other, three, DType::u8, {}); }},
        {"all_to_all_v with parts beyond the buffer",
         [=](Group& g) { return g.all_to_all_v(part(16), beyond, other, even, DType::u8, {}); }},
        {"all_to_all_v with parts beyond the output",
         [=](Group& g) { return g.all_to_all_v(part(16), even, other, beyond, DType::u8, {}); }},
        {"all_to_all_v with broken elements",
         [=](Group& g) { return g.all_to_all_v(part(16), broken, other, broken, DType::f32, {}); }},
        {"all_to_all_v with parts whose sum overflows",
         [=](Group& g) { return g.all_to_all_v(part(16), huge, other, even, DType::u8, {}); }},
        {"send of half an element", [=](Group& g) { return g.send(part(3), DType::bf16, 1, 0, {}); }},
        {"recv of half an element", [=](Group& g) { return g.recv(part(3), DType::bf16, 1, 0, {}); }},
    };
  });
}

void null_buffers(Context& context) {
  expect_refused(context, [](Buffer all) -> std::vector<Wrong> {
    static constexpr Bytes even[] = {8, 8};
    const Buffer none{.data = nullptr, .size = 16};
    const Buffer half{.data = nullptr, .size = 8};
    const Buffer some = all.slice(0, 16);
    const Buffer part = all.slice(0, 8);
    return {
        {"all_reduce", [=](Group& g) { return g.all_reduce(none, DType::f32, ReduceOp::sum, {}); }},
        {"broadcast", [=](Group& g) { return g.broadcast(none, DType::f32, 0, {}); }},
        {"all_gather from nothing", [=](Group& g) { return g.all_gather(half, some, DType::f32, {}); }},
        {"all_gather into nothing", [=](Group& g) { return g.all_gather(part, none, DType::f32, {}); }},
        {"reduce_scatter from nothing",
         [=](Group& g) { return g.reduce_scatter(none, part, DType::f32, ReduceOp::sum, {}); }},
        {"reduce_scatter into nothing",
         [=](Group& g) { return g.reduce_scatter(some, half, DType::f32, ReduceOp::sum, {}); }},
        {"all_to_all from nothing", [=](Group& g) { return g.all_to_all(none, some, DType::f32, {}); }},
        {"all_to_all into nothing", [=](Group& g) { return g.all_to_all(some, none, DType::f32, {}); }},
        {"all_to_all_v from nothing", [=](Group& g) { return g.all_to_all_v(none, even, some, even, DType::f32, {}); }},
        {"send", [=](Group& g) { return g.send(none, DType::f32, 1, 0, {}); }},
        {"recv", [=](Group& g) { return g.recv(none, DType::f32, 1, 0, {}); }},
    };
  });
}

void wrong_ranks_and_tags(Context& context) {
  expect_refused(context, [](Buffer all) -> std::vector<Wrong> {
    const Buffer some = all.slice(0, 16);
    const auto root = [=](std::int32_t rank) {
      return [=](Group& g) { return g.broadcast(some, DType::f32, rank, {}); };
    };
    const auto send = [=](std::int32_t peer, std::uint32_t tag) {
      return [=](Group& g) { return g.send(some, DType::f32, peer, tag, {}); };
    };
    const auto recv = [=](std::int32_t peer, std::uint32_t tag) {
      return [=](Group& g) { return g.recv(some, DType::f32, peer, tag, {}); };
    };
    return {{"broadcast from root 2 of two", root(2)},
            {"broadcast from root -1", root(-1)},
            {"broadcast from root 2^31 - 1", root(2147483647)},
            {"send to rank 2 of two", send(2, 0)},
            {"send to rank -1", send(-1, 0)},
            {"recv from rank 2 of two", recv(2, 0)},
            {"recv from rank -2147483648", recv(-2147483647 - 1, 0)},
            {"send to oneself", send(0, 0)},
            {"recv from oneself", recv(0, 0)},
            {"send with tag 65536", send(1, 65536)},
            {"recv with tag 65536", recv(1, 65536)},
            {"send with tag 2^32 - 1", send(1, ~std::uint32_t{0})}};
  });
}

void unknown_types(Context& context) {
  expect_refused(
      context,
      [](Buffer all) -> std::vector<Wrong> {
        const Buffer some = all.slice(0, 16);
        const auto type = static_cast<DType>(99);
        const auto op = static_cast<ReduceOp>(7);
        return {
            {"all_reduce of type 99", [=](Group& g) { return g.all_reduce(some, type, ReduceOp::sum, {}); }},
            {"all_gather of type 99", [=](Group& g) { return g.all_gather(some.slice(0, 8), some, type, {}); }},
            {"broadcast of type 99", [=](Group& g) { return g.broadcast(some, type, 0, {}); }},
            {"send of type 99", [=](Group& g) { return g.send(some, type, 1, 0, {}); }},
            {"all_reduce by operation 7", [=](Group& g) { return g.all_reduce(some, DType::f32, op, {}); }},
            {"reduce_scatter by operation 7",
             [=](Group& g) { return g.reduce_scatter(some, some.slice(0, 8), DType::f32, op, {}); }},
        };
      },
      {ErrorCode::invalid_argument, ErrorCode::unimplemented});
}

void device_memory(Context& context) {
  expect_refused(context,
                 [](Buffer all) -> std::vector<Wrong> {
                   const Buffer some = all.slice(0, 16);
                   Buffer device = some;
                   device.kind = MemoryKind::device;
                   device.device = 0;
                   const Stream cuda{.kind = Stream::Kind::cuda, .native = nullptr};
                   return {
                       {"all_reduce of device memory",
                        [=](Group& g) { return g.all_reduce(device, DType::f32, ReduceOp::sum, {}); }},
                       {"all_gather into device memory",
                        [=](Group& g) { return g.all_gather(some.slice(0, 8), device, DType::f32, {}); }},
                       {"send of device memory", [=](Group& g) { return g.send(device, DType::f32, 1, 0, {}); }},
                       {"broadcast on a CUDA stream", [=](Group& g) { return g.broadcast(some, DType::f32, 0, cuda); }},
                       {"barrier on a CUDA stream", [=](Group& g) { return g.barrier(cuda); }},
                   };
                 },
                 {ErrorCode::unimplemented, ErrorCode::invalid_argument});
}

void alone(Context& context) {
  World world(context);
  world.run(1, [&](Rank& rank) {
    auto group = rank.open("alone");
    const Guarded memory(64);
    const Buffer all = memory.buffer();
    const auto refused = [&](const Result<Work>& work, const char* what) {
      context.expect_error(work, ErrorCode::invalid_argument, what);
    };
    refused(group->send(all, DType::u8, 0, 0, {}), "send in a group of one");
    refused(group->recv(all, DType::u8, 0, 0, {}), "recv in a group of one");
    refused(group->broadcast(all, DType::u8, 1, {}), "broadcast from root 1 of one");
    refused(group->all_gather(all, all.slice(0, 32), DType::u8, {}), "all_gather into a smaller output");
    perform(rank, *group, {.type = DType::f32, .count = 5});
    rank.close(group);
  });
}

constexpr const char* stays_whole = "It is found where it is made, and nothing was sent: the ranks are still in step.";

constexpr Case refusal_rules[] = {
    {.id = "CM-40",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "sizes that do not fit are invalid_argument at once, write nothing, and leave the group as it was",
     .rationale = stays_whole,
     .body = wrong_sizes,
     .limit = std::chrono::seconds(60)},
    {.id = "CM-41",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a null buffer of some bytes is invalid_argument at once and leaves the group as it was",
     .rationale = stays_whole,
     .body = null_buffers,
     .limit = std::chrono::seconds(60)},
    {.id = "CM-42",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "roots and peers that the group does not have, oneself as a peer, and tags from 65536 on are "
              "invalid_argument at "
              "once and leave the group as it was",
     .rationale = stays_whole,
     .body = wrong_ranks_and_tags,
     .limit = std::chrono::seconds(60)},
    {.id = "CM-43",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "unknown element types and reductions are invalid_argument or unimplemented at once and leave the group "
              "as it was",
     .rationale = "A later engine may know more of them.",
     .body = unknown_types,
     .limit = std::chrono::seconds(60)},
    {.id = "CM-44",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "device memory and device streams in a group of host memory are unimplemented or invalid_argument at "
              "once and leave "
              "the group as it was",
     .rationale = "A pointer of a device read by the host is a crash.",
     .body = device_memory,
     .limit = std::chrono::seconds(60)},
    {.id = "CM-45",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a group of one refuses messages and wrong sizes like any other",
     .rationale = "What is wrong with two ranks must not pass with one.",
     .body = alone,
     .limit = std::chrono::seconds(60)},
};

}  // namespace

std::span<const Case> refusal_cases() { return refusal_rules; }

}  // namespace weft::conformance
