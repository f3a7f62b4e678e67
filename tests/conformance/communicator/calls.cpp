#include "tests/conformance/communicator/calls.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "tests/conformance/communicator/pairwise.h"

namespace weft::conformance {
namespace {

constexpr std::size_t strip = 64;
constexpr std::byte sentinel{0xA5};
constexpr std::byte untouched{0x5A};  // of outputs, before

std::size_t index(std::int32_t rank) { return static_cast<std::size_t>(rank); }

std::uint64_t case_key(const Rank& rank, std::uint64_t call) {
  const Context::Setup& setup = rank.context.setup();
  return key_of(setup.seed, setup.running == nullptr ? "" : setup.running->id, call);
}

void carry_out(const Rank& rank, Group& group, const Call& call, const Side& side, Buffer in, Buffer out) {
  const std::string doing = describe(call);
  switch (call.collective) {
    case Collective::all_reduce: return rank.finish(group.all_reduce(out, call.type, call.op, {}), doing);
    case Collective::all_gather: return rank.finish(group.all_gather(in, out, call.type, {}), doing);
    case Collective::reduce_scatter: return rank.finish(group.reduce_scatter(in, out, call.type, call.op, {}), doing);
    case Collective::broadcast: return rank.finish(group.broadcast(out, call.type, call.root, {}), doing);
    case Collective::all_to_all: return rank.finish(group.all_to_all(in, out, call.type, {}), doing);
    case Collective::all_to_all_v: {
      const std::vector<Bytes> in_parts = side.in_bytes();
      const std::vector<Bytes> out_parts = side.out_bytes();
      return rank.finish(group.all_to_all_v(in, in_parts, out, out_parts, call.type, {}), doing);
    }
    case Collective::message: {
      const std::int32_t next = (group.rank() + 1) % group.size();
      const std::int32_t last = (group.rank() + group.size() - 1) % group.size();
      Result<Work> sent = group.send(in, call.type, next, call.tag, {});
      Result<Work> taken = group.recv(out, call.type, last, call.tag, {});
      rank.finish(std::move(taken), doing);
      return rank.finish(std::move(sent), doing);
    }
  }
}

}  // namespace

void Guarded::Free::operator()(std::byte* memory) const noexcept { ::operator delete (memory, std::align_val_t{64}); }

Guarded::Guarded(const Rank& rank, Group& group, std::size_t bytes, std::size_t offset_bytes, bool allocated) {
  if (!allocated) {
    place(nullptr, bytes, offset_bytes);
    return;
  }
  const Buffer memory = rank.context.take(group.allocate(bytes + offset_bytes + 2 * strip), "allocate");
  rank.context.expect(memory.size == bytes + offset_bytes + 2 * strip, "allocate gave another size");
  place(memory.as<std::byte>(), bytes, offset_bytes);
}

Guarded::Guarded(std::size_t bytes) { place(nullptr, bytes, 0); }

void Guarded::place(std::byte* memory, std::size_t bytes, std::size_t offset_bytes) {
  const std::size_t total = bytes + offset_bytes + 2 * strip;
  if (memory == nullptr) {
    own_.reset(static_cast<std::byte*>(::operator new (total, std::align_val_t{64})));
    memory = own_.get();
  }
  begin_ = memory;
  end_ = memory + total;
  std::fill(begin_, end_, sentinel);
  buffer_ = {.data = memory + strip + offset_bytes, .size = bytes};
  std::fill(buffer_.as<std::byte>(), buffer_.as<std::byte>() + bytes, untouched);
}

void Guarded::fill(std::span<const std::byte> data) const noexcept {
  if (!data.empty()) std::memcpy(buffer_.data, data.data(), data.size());
}

bool Guarded::intact() const noexcept {
  const auto is_sentinel = [](std::byte byte) { return byte == sentinel; };
  return std::all_of(begin_, buffer_.as<std::byte>(), is_sentinel) &&
         std::all_of(buffer_.as<std::byte>() + buffer_.size, end_, is_sentinel);
}

Origin origin_of(const Rank& rank, std::uint64_t call, std::int32_t from, std::int32_t ranks) {
  return {.key = case_key(rank, call), .ranks = ranks == 0 ? rank.count : ranks, .from = from};
}

void perform(const Rank& rank, Group& group, const Call& call) {
  const Side side = side_of(call, case_key(rank, call.salt), group.rank(), group.size());
  const std::size_t width = size_of(call.type);
  const std::size_t shift = call.offset * width;
  const bool one_buffer = in_place(call.collective);
  const std::size_t in_bytes = elements_of(side.in) * width;
  const Guarded out(rank, group, one_buffer ? in_bytes : side.out_elements() * width, shift, call.allocated);
  const Guarded in(rank, group, one_buffer ? 0 : in_bytes, shift, call.allocated && !one_buffer);
  fill((one_buffer ? out : in).bytes(), call.type, side.in);
  carry_out(rank, group, call, side, in.buffer(), out.buffer());
  const auto expect_right = [&](const std::string& wrong) {
    rank.context.expect(wrong.empty(),
                        fmt::format("{}: at rank {} of {}: {}", describe(call), group.rank(), group.size(), wrong));
  };
  expect_right(difference(call, side, out.bytes(), rank.context.declares("rank_ordered_sums")));
  expect_right(out.intact() ? "" : "memory outside the output was written");
  expect_right(in.intact() ? "" : "memory outside the input was written");
  if (one_buffer) return;
  const std::string changed = difference(call.type, side.in, in.bytes());
  expect_right(changed.empty() ? "" : "the input was changed: " + changed);
}

std::vector<Call> calls_of(const Sweep& sweep, std::int32_t ranks) {
  const std::size_t offsets[] = {0, 1, 3};
  const std::vector<std::size_t> levels = {sweep.bytes.size(),
                                           std::size(all_types),
                                           reduces(sweep.collective) ? std::size(all_ops) : 1,
                                           std::size(offsets),
                                           2,
                                           sweep.ranks.size(),
                                           2};
  std::vector<Call> calls;
  std::uint64_t salt = 0;
  for (const Row& row :
       sweep.whole ? product({levels[0], levels[1], levels[2], 1, 1, levels[5], 1}) : pairwise(levels)) {
    ++salt;
    if (sweep.ranks[row[5]] != ranks) continue;
    Call call{.collective = sweep.collective, .type = all_types[row[1]], .op = all_ops[row[2]], .salt = salt};
    // The product is of types, operations, sizes and ranks; where the memory lies takes turns.
    call.offset = offsets[sweep.whole ? salt % 3 : row[3]];
    call.allocated = (sweep.whole ? salt / 3 : row[4]) % 2 != 0;
    call.root = (sweep.whole ? salt : row[6]) % 2 == 0 ? 0 : ranks - 1;
    call.tag = call.root == 0 ? 0 : 65535;
    const std::size_t bytes = sweep.bytes[row[0]];
    call.count = bytes / size_of(call.type);
    if (bytes == 1) call.count = 1;
    if (bytes == 4097) call.count = 4096 / size_of(call.type) + 1;
    const bool parts = sweep.collective != Collective::all_reduce && sweep.collective != Collective::broadcast &&
                       sweep.collective != Collective::message;
    if (parts && bytes >= std::size_t{1} << 20) call.count /= index(ranks);
    calls.push_back(call);
    // Sums whose order does not matter too: what is not right to the bit then is wrong, whatever a plugin declares.
    call.values = Values::exact;
    if (reduces(call.collective) && call.op == ReduceOp::sum && is_float(call.type)) calls.push_back(call);
  }
  return calls;
}

void sweep(Context& context, const Sweep& sweep) {
  World world(context);
  std::size_t done = 0;
  for (const std::int32_t ranks : sweep.ranks) {
    const std::vector<Call> calls = calls_of(sweep, ranks);
    if (calls.empty()) continue;
    done += calls.size();
    world.run(ranks, [&](Rank& rank) {
      auto group = rank.open(fmt::format("sweep/{}", ranks));
      for (const Call& call : calls)
        perform(rank, *group, call);
      rank.close(group);
    });
  }
  context.note(fmt::format("{} calls", done));
}

}  // namespace weft::conformance
