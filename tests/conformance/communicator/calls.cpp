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

// Data of a part that rank `from` has for rank `to`.
std::uint64_t salt_of(const Call& call, std::int32_t from, std::int32_t to = 0) {
  return call.salt * 1024 + index(from) * 32 + index(to);
}

// Elements of all_to_all_v's parts; none for some.
std::size_t length_of(const Call& call, std::int32_t from, std::int32_t to) {
  return call.count * ((index(from) * 3 + index(to) * 2 + 1) % 4) / 2;
}

void append(Data& data, const Data& more) { data.insert(data.end(), more.begin(), more.end()); }

// What one rank gives and should get.
struct Expected {
  Data in;   // of calls with one buffer: what it holds before
  Data out;  // empty for reductions
  std::vector<Bytes> in_parts;
  std::vector<Bytes> out_parts;
};

Expected expected_of(const Call& call, std::int32_t rank, std::int32_t ranks) {
  Expected made;
  switch (call.collective) {
    case Collective::all_reduce: made.in = data_of(call.type, salt_of(call, rank), call.count); break;
    case Collective::reduce_scatter:
      made.in = data_of(call.type, salt_of(call, rank), call.count * index(ranks));
      break;
    case Collective::broadcast:
      made.in = data_of(call.type, salt_of(call, rank), call.count);
      made.out = data_of(call.type, salt_of(call, call.root), call.count);
      break;
    case Collective::all_gather:
      made.in = data_of(call.type, salt_of(call, rank), call.count);
      for (std::int32_t peer = 0; peer < ranks; ++peer)
        append(made.out, data_of(call.type, salt_of(call, peer), call.count));
      break;
    case Collective::all_to_all:
    case Collective::all_to_all_v:
      for (std::int32_t peer = 0; peer < ranks; ++peer) {
        const bool equal = call.collective == Collective::all_to_all;
        const Data to = data_of(call.type, salt_of(call, rank, peer), equal ? call.count : length_of(call, rank, peer));
        const Data from =
            data_of(call.type, salt_of(call, peer, rank), equal ? call.count : length_of(call, peer, rank));
        append(made.in, to);
        append(made.out, from);
        made.in_parts.push_back(to.size());
        made.out_parts.push_back(from.size());
      }
      break;
    case Collective::message:
      made.in = data_of(call.type, salt_of(call, rank), call.count);
      made.out = data_of(call.type, salt_of(call, (rank + ranks - 1) % ranks), call.count);
      break;
  }
  return made;
}

bool in_place(Collective collective) {
  return collective == Collective::all_reduce || collective == Collective::broadcast;
}

void carry_out(const Rank& rank, Group& group, const Call& call, const Expected& expected, Buffer in, Buffer out) {
  const std::string doing = describe(call);
  switch (call.collective) {
    case Collective::all_reduce: return rank.finish(group.all_reduce(out, call.type, call.op, {}), doing);
    case Collective::all_gather: return rank.finish(group.all_gather(in, out, call.type, {}), doing);
    case Collective::reduce_scatter: return rank.finish(group.reduce_scatter(in, out, call.type, call.op, {}), doing);
    case Collective::broadcast: return rank.finish(group.broadcast(out, call.type, call.root, {}), doing);
    case Collective::all_to_all: return rank.finish(group.all_to_all(in, out, call.type, {}), doing);
    case Collective::all_to_all_v:
      return rank.finish(group.all_to_all_v(in, expected.in_parts, out, expected.out_parts, call.type, {}), doing);
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

std::string wrong_result(const Rank& rank, Group& group, const Call& call, const Expected& expected,
                         std::span<const std::byte> found) {
  if (!reduces(call.collective)) return difference(call.type, expected.out, found);
  std::vector<Data> given;
  const bool whole = call.collective == Collective::all_reduce;
  const std::size_t begin = whole ? 0 : index(group.rank()) * found.size();
  for (std::int32_t peer = 0; peer < group.size(); ++peer) {
    Data all = data_of(call.type, salt_of(call, peer), whole ? call.count : call.count * index(group.size()));
    if (!whole)
      all = Data(all.begin() + static_cast<std::ptrdiff_t>(begin),
                 all.begin() + static_cast<std::ptrdiff_t>(begin + found.size()));
    given.push_back(std::move(all));
  }
  const bool ordered = rank.context.declares("rank_ordered_sums");
  return difference(call.type, reduce(call.type, call.op, given), found, ordered);
}

}  // namespace

const char* to_string(Collective collective) noexcept {
  switch (collective) {
    case Collective::all_reduce: return "all_reduce";
    case Collective::all_gather: return "all_gather";
    case Collective::reduce_scatter: return "reduce_scatter";
    case Collective::broadcast: return "broadcast";
    case Collective::all_to_all: return "all_to_all";
    case Collective::all_to_all_v: return "all_to_all_v";
    case Collective::message: return "send and recv";
  }
  return "unknown";
}

std::string describe(const Call& call) {
  std::string text =
      fmt::format("{} of {} elements of {}", to_string(call.collective), call.count, weft::to_string(call.type));
  if (reduces(call.collective)) text += fmt::format(", {}", to_string(call.op));
  if (call.collective == Collective::broadcast) text += fmt::format(", root {}", call.root);
  if (call.collective == Collective::message) text += fmt::format(", tag {}", call.tag);
  return text + fmt::format(", {} elements into {} memory", call.offset, call.allocated ? "the group's" : "any");
}

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

std::uint64_t perform(const Rank& rank, Group& group, const Call& call) {
  const Expected expected = expected_of(call, group.rank(), group.size());
  const std::size_t shift = call.offset * size_of(call.type);
  const bool one_buffer = in_place(call.collective);
  const std::size_t out_bytes = one_buffer                                      ? expected.in.size()
                                : call.collective == Collective::reduce_scatter ? call.count * size_of(call.type)
                                                                                : expected.out.size();
  const Guarded out(rank, group, out_bytes, shift, call.allocated);
  const Guarded in(rank, group, one_buffer ? 0 : expected.in.size(), shift, call.allocated && !one_buffer);
  (one_buffer ? out : in).fill(expected.in);
  carry_out(rank, group, call, expected, in.buffer(), out.buffer());
  const auto expect_right = [&](const std::string& wrong) {
    rank.context.expect(wrong.empty(), fmt::format("{}, {} ranks: {}", describe(call), group.size(), wrong));
  };
  expect_right(wrong_result(rank, group, call, expected, out.bytes()));
  expect_right(out.intact() ? "" : "memory outside the output was written");
  expect_right(in.intact() ? "" : "memory outside the input was written");
  if (!one_buffer && !difference(call.type, expected.in, in.bytes()).empty()) expect_right("the input was changed");
  return hash_of(out.bytes());
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
