#include "tests/conformance/communicator/expected.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace weft::conformance {
namespace {

std::size_t at_rank(std::int32_t rank) { return static_cast<std::size_t>(rank); }

// Elements of all_to_all_v's parts; none for some.
std::size_t length_of(const Call& call, std::int32_t from, std::int32_t to) {
  return call.count * ((at_rank(from) * 3 + at_rank(to) * 2 + 1) % 4) / 2;
}

// Calls `use(first, count)` for one piece after the other until it returns something.
template <class Use>
std::string for_each_piece(std::size_t count, const Use& use) {
  for (std::size_t first = 0; first < count; first += piece_elements)
    if (std::string wrong = use(first, std::min(piece_elements, count - first)); !wrong.empty()) return wrong;
  return {};
}

std::string reduction_difference(const Call& call, const Parts& terms, std::span<const std::byte> found, bool ordered) {
  const std::size_t width = size_of(call.type);
  const std::size_t all = terms.front().count;
  return for_each_piece(all, [&](std::size_t first, std::size_t count) -> std::string {
    std::vector<Data> given;
    for (const Part& term : terms)
      given.push_back(data_of(call.type, term.origin, count, term.first + first));
    Reduced expected = reduce(call.type, call.op, given);
    if (ordered || call.values == Values::exact) expected.bounds.clear();
    const Mismatch one = mismatch(call.type, expected, found.subspan(first * width, count * width));
    return one.wrong.empty() ? "" : described(call.type, first + one.element, all, one.wrong);
  });
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
  if (reduces(call.collective))
    text += fmt::format(", {}{}", to_string(call.op), call.values == Values::exact ? " of whole numbers" : "");
  if (call.collective == Collective::broadcast) text += fmt::format(", root {}", call.root);
  if (call.collective == Collective::message) text += fmt::format(", tag {}", call.tag);
  return text + fmt::format(", {} elements into {} memory", call.offset, call.allocated ? "the group's" : "any");
}

std::size_t elements_of(const Parts& parts) noexcept {
  return std::accumulate(parts.begin(), parts.end(), std::size_t{0},
                         [](std::size_t sum, const Part& part) { return sum + part.count; });
}

void fill(std::span<std::byte> to, DType type, const Parts& parts) {
  for (const Part& part : parts) {
    const std::size_t bytes = part.count * size_of(type);
    fill(to.first(bytes), type, part.origin, part.first);
    to = to.subspan(bytes);
  }
}

std::vector<Bytes> Side::bytes_of(const Parts& parts) const {
  std::vector<Bytes> bytes;
  for (const Part& part : parts)
    bytes.push_back(part.count * size_of(type));
  return bytes;
}

Side side_of(const Call& call, std::uint64_t key, std::int32_t rank, std::int32_t ranks) {
  const auto origin = [&](std::int32_t from, std::int32_t to = 0) {
    return Origin{.key = key, .ranks = ranks, .from = from, .to = to, .values = call.values};
  };
  Side side{.type = call.type, .in = {{.origin = origin(rank), .count = call.count}}, .out = {}, .terms = {}};
  const std::size_t begin = call.collective == Collective::reduce_scatter ? at_rank(rank) * call.count : 0;
  for (std::int32_t peer = 0; peer < ranks && reduces(call.collective); ++peer)
    side.terms.push_back({.origin = origin(peer), .first = begin, .count = call.count});
  switch (call.collective) {
    case Collective::all_reduce: break;
    case Collective::reduce_scatter: side.in[0].count = call.count * at_rank(ranks); break;
    case Collective::broadcast: side.out = {{.origin = origin(call.root), .count = call.count}}; break;
    case Collective::all_gather:
      for (std::int32_t peer = 0; peer < ranks; ++peer)
        side.out.push_back({.origin = origin(peer), .count = call.count});
      break;
    case Collective::all_to_all:
    case Collective::all_to_all_v: {
      const bool equal = call.collective == Collective::all_to_all;
      side.in.clear();
      for (std::int32_t peer = 0; peer < ranks; ++peer) {
        side.in.push_back({.origin = origin(rank, peer), .count = equal ? call.count : length_of(call, rank, peer)});
        side.out.push_back({.origin = origin(peer, rank), .count = equal ? call.count : length_of(call, peer, rank)});
      }
      break;
    }
    case Collective::message: side.out = {{.origin = origin((rank + ranks - 1) % ranks), .count = call.count}}; break;
  }
  return side;
}

std::string difference(DType type, const Parts& expected, std::span<const std::byte> found) {
  const std::size_t width = size_of(type);
  const std::size_t all = elements_of(expected);
  if (found.size() != all * width) return fmt::format("{} bytes, expected {}", found.size(), all * width);
  std::size_t before = 0;  // elements of earlier parts
  for (const Part& part : expected) {
    std::string wrong = for_each_piece(part.count, [&](std::size_t first, std::size_t count) -> std::string {
      const Data right = data_of(type, part.origin, count, part.first + first);
      const Mismatch one = mismatch(type, right, found.subspan((before + first) * width, count * width));
      if (one.wrong.empty()) return {};
      const std::size_t own = first + one.element;
      return described(type, before + own, all, one.wrong,
                       fmt::format("; element {} of rank {}'s", part.first + own, part.origin.from));
    });
    if (!wrong.empty()) return wrong;
    before += part.count;
  }
  return {};
}

std::string difference(const Call& call, const Side& side, std::span<const std::byte> found, bool ordered) {
  if (!reduces(call.collective)) return difference(call.type, side.out, found);
  const std::size_t bytes = side.out_elements() * size_of(call.type);
  if (found.size() != bytes) return fmt::format("{} bytes, expected {}", found.size(), bytes);
  return reduction_difference(call, side.terms, found, ordered);
}

}  // namespace weft::conformance
