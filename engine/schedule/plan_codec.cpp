#include "engine/schedule/plan_codec.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <string_view>

#include "engine/cache/block_pool.h"

namespace weft::engine {
namespace {

constexpr std::uint32_t magic = 0x324c5057;  // "WPL2"
constexpr std::size_t header_bytes = 16;
constexpr std::uint8_t sample_flag = 1;
constexpr std::uint8_t tail_flag = 2;
constexpr std::uint8_t scored_flag = 4;

std::uint64_t zigzag(std::uint64_t difference) noexcept { return (difference << 1) ^ (0 - (difference >> 63)); }
std::uint64_t unzigzag(std::uint64_t value) noexcept { return (value >> 1) ^ (0 - (value & 1)); }

template <class T>
void put_fixed(std::byte* at, T value) noexcept {
  for (std::size_t i = 0; i < sizeof(T); ++i)
    at[i] = static_cast<std::byte>(value >> (8 * i));
}

template <class T>
T get_fixed(const std::byte* at) noexcept {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i)
    value |= static_cast<T>(std::to_integer<T>(at[i]) << (8 * i));
  return value;
}

// Writes through the slot into the tail.
class Writer {
 public:
  explicit Writer(EncodedPlan& out) : out_(out) { out_.tail.clear(); }

  void put(std::uint8_t value) {
    if (at_ < plan_slot_bytes) {
      out_.slot[at_] = std::byte{value};
    } else {
      out_.tail.push_back(std::byte{value});
    }
    ++at_;
  }
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7)
      put(static_cast<std::uint8_t>(value | 0x80));
    put(static_cast<std::uint8_t>(value));
  }
  void number(std::int64_t value) { varint(static_cast<std::uint64_t>(value)); }
  std::size_t total() const noexcept { return at_; }

 private:
  EncodedPlan& out_;
  std::size_t at_ = header_bytes;
};

// Reads the payload of a slot and its tail. After the first thing that cannot be, everything reads as 0 and bad() is true.
class Reader {
 public:
  Reader(std::span<const std::byte> slot, std::span<const std::byte> tail) : slot_(slot), tail_(tail) {}

  bool bad() const noexcept { return bad_; }
  std::size_t left() const noexcept { return slot_.size() + tail_.size() - at_; }

  std::uint8_t byte() noexcept {
    if (bad_ || left() == 0) {
      bad_ = true;
      return 0;
    }
    const std::byte read = at_ < slot_.size() ? slot_[at_] : tail_[at_ - slot_.size()];
    ++at_;
    return std::to_integer<std::uint8_t>(read);
  }
  std::uint64_t varint() noexcept {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const std::uint8_t next = byte();
      value |= std::uint64_t{next & 0x7fu} << shift;
      if ((next & 0x80) == 0) {
        if (shift == 63 && next > 1) break;
        return value;
      }
    }
    bad_ = true;
    return 0;
  }
  // A value from 0 to T's largest.
  template <class T>
  T number() noexcept {
    const std::uint64_t value = varint();
    if (value > static_cast<std::uint64_t>(std::numeric_limits<T>::max())) bad_ = true;
    return bad_ ? T{0} : static_cast<T>(value);
  }
  // How many things of at least a byte each follow: never more than the bytes that are left.
  std::size_t count() noexcept {
    const std::uint64_t value = varint();
    if (value > left()) bad_ = true;
    return bad_ ? 0 : static_cast<std::size_t>(value);
  }

 private:
  std::span<const std::byte> slot_;
  std::span<const std::byte> tail_;
  std::size_t at_ = 0;
  bool bad_ = false;
};

std::uint64_t checksum(std::span<const std::byte> slot, std::span<const std::byte> tail) noexcept {
  const std::uint64_t of_slot = XXH3_64bits(slot.data(), slot.size());
  return tail.empty() ? of_slot : XXH3_64bits_withSeed(tail.data(), tail.size(), of_slot);
}

// The payload's part of a slot.
std::span<const std::byte> payload(std::span<const std::byte> slot, std::size_t total) noexcept {
  return slot.first(std::min(total, plan_slot_bytes)).subspan(header_bytes);
}

void put_sequence(Writer& writer, const SequenceStep& sequence, RequestId previous, std::int64_t step) {
  writer.varint(zigzag(sequence.request - previous));
  writer.put(static_cast<std::uint8_t>((sequence.sample ? sample_flag : 0) | (sequence.tail ? tail_flag : 0) |
                                       (sequence.scored > 0 ? scored_flag : 0)));
  writer.number(sequence.start);
  writer.varint(sequence.tokens.size());
  for (const TokenId token : sequence.tokens)
    writer.number(token);
  if (sequence.tail) {
    writer.number(step - sequence.tail->step);
    writer.number(sequence.tail->slot);
  }
  if (sequence.scored > 0) {
    writer.number(sequence.first_scored);
    writer.number(sequence.scored);
  }
  writer.varint(sequence.blocks.size());
  std::int64_t expected = 0;  // neighbours often follow each other
  for (const BlockId block : sequence.blocks) {
    writer.varint(zigzag(static_cast<std::uint64_t>(block - expected)));
    expected = std::int64_t{block} + 1;
  }
}

SequenceStep get_sequence(Reader& reader, RequestId previous, std::int64_t step) {
  SequenceStep sequence;
  sequence.request = previous + unzigzag(reader.varint());
  const std::uint8_t flags = reader.byte();
  sequence.sample = (flags & sample_flag) != 0;
  sequence.start = reader.number<std::int32_t>();
  sequence.tokens.resize(reader.count());
  for (TokenId& token : sequence.tokens)
    token = reader.number<TokenId>();
  if ((flags & tail_flag) != 0) {
    const auto back = reader.number<std::int64_t>();
    sequence.tail = SampledRef{.step = step - back, .slot = reader.number<std::int32_t>()};
  }
  if ((flags & scored_flag) != 0) {
    sequence.first_scored = reader.number<std::int32_t>();
    sequence.scored = reader.number<std::int32_t>();
  }
  sequence.blocks.resize(reader.count());
  std::uint64_t expected = 0;
  for (BlockId& block : sequence.blocks) {
    const std::uint64_t value = expected + unzigzag(reader.varint());
    block = value <= std::numeric_limits<std::int32_t>::max() ? static_cast<BlockId>(value) : -1;
    expected = value + 1;
  }
  return sequence;
}

Status damaged(std::string_view what) { return fail(ErrorCode::data_loss, fmt::format("step plan: {}", what)); }

Status check_sequence(const SequenceStep& sequence, std::int64_t step, const PlanLimits& limits) {
  const std::int64_t end =
      std::int64_t{sequence.start} + static_cast<std::int64_t>(sequence.tokens.size()) + (sequence.tail ? 1 : 0);
  if (sequence.start < 0 || end <= sequence.start || end > limits.max_context)
    return damaged(fmt::format("request {}: positions {} to {}, expected some within 0 to {}", sequence.request,
                               sequence.start, end - 1, limits.max_context - 1));
  for (const TokenId token : sequence.tokens)
    if (token < 0 || token >= limits.vocabulary)
      return damaged(
          fmt::format("request {}: token id {}, expected 0 to {}", sequence.request, token, limits.vocabulary - 1));
  if (sequence.tail && (sequence.tail->step < 0 || sequence.tail->step >= step || sequence.tail->slot < 0))
    return damaged(fmt::format("request {}: input from sample {} of step {}, expected a step from 0 to {}",
                               sequence.request, sequence.tail->slot, sequence.tail->step, step - 1));
  if (sequence.first_scored < 0 || sequence.scored < 0 ||
      std::int64_t{sequence.first_scored} + sequence.scored > sequence.rows())
    return damaged(fmt::format("request {}: scores of {} rows from {} on, expected some of {}", sequence.request,
                               sequence.scored, sequence.first_scored, sequence.rows()));
  const auto needed = static_cast<std::size_t>(blocks_for(static_cast<std::int32_t>(end), limits.block_size));
  if (sequence.blocks.size() != needed)
    return damaged(fmt::format("request {}: a table of {} blocks for {} positions, expected {}", sequence.request,
                               sequence.blocks.size(), end, needed));
  for (const BlockId block : sequence.blocks)
    if (block < 0 || block >= limits.blocks)
      return damaged(fmt::format("request {}: block {}, expected 0 to {}", sequence.request, block, limits.blocks - 1));
  return {};
}

}  // namespace

void encode(const StepPlan& plan, EncodedPlan& out) {
  Writer writer(out);
  writer.number(plan.step);
  writer.varint(plan.sequences.size());
  RequestId previous = 0;
  for (const SequenceStep& sequence : plan.sequences) {
    put_sequence(writer, sequence, previous, plan.step);
    previous = sequence.request;
  }
  if (writer.total() < plan_slot_bytes)
    std::fill(out.slot.begin() + static_cast<std::ptrdiff_t>(writer.total()), out.slot.end(), std::byte{0});
  put_fixed(out.slot.data(), static_cast<std::uint32_t>(writer.total()));
  put_fixed(out.slot.data() + 4, magic);
  put_fixed(out.slot.data() + 8, checksum(payload(out.slot, writer.total()), out.tail));
}

Result<std::size_t> tail_bytes(std::span<const std::byte> slot) {
  if (slot.size() != plan_slot_bytes)
    return fail(ErrorCode::data_loss,
                fmt::format("step plan: a slot of {} bytes, expected {}", slot.size(), plan_slot_bytes));
  if (const auto found = get_fixed<std::uint32_t>(slot.data() + 4); found != magic)
    return fail(
        ErrorCode::data_loss,
        fmt::format("step plan: begins with {:#010x}, expected {:#010x}: no plan of this version", found, magic));
  const std::size_t total = get_fixed<std::uint32_t>(slot.data());
  if (total < header_bytes || total > plan_most_bytes)
    return fail(ErrorCode::data_loss, fmt::format("step plan: says it has {} bytes, expected {} to {}", total,
                                                  header_bytes, plan_most_bytes));
  return total > plan_slot_bytes ? total - plan_slot_bytes : 0;
}

Result<StepPlan> decode(std::span<const std::byte> slot, std::span<const std::byte> tail, const PlanLimits& limits) {
  WEFT_ASSIGN(tail_size, tail_bytes(slot));
  if (tail.size() != tail_size)
    return fail(ErrorCode::data_loss,
                fmt::format("step plan: a tail of {} bytes, expected {}", tail.size(), tail_size));
  const auto in_slot = payload(slot, get_fixed<std::uint32_t>(slot.data()));
  if (get_fixed<std::uint64_t>(slot.data() + 8) != checksum(in_slot, tail))
    return fail(ErrorCode::data_loss, "step plan: its checksum is wrong: damaged on the way");
  Reader reader(in_slot, tail);
  StepPlan plan;
  plan.step = reader.number<std::int64_t>();
  const std::size_t sequences = reader.count();
  RequestId previous = 0;
  for (std::size_t i = 0; i < sequences && !reader.bad(); ++i) {
    plan.sequences.push_back(get_sequence(reader, previous, plan.step));
    previous = plan.sequences.back().request;
  }
  if (reader.bad() || reader.left() != 0)
    return fail(ErrorCode::data_loss, "step plan: its fields do not fill its length");
  WEFT_TRY(check(plan, limits));
  return plan;
}

Status check(const StepPlan& plan, const PlanLimits& limits) {
  std::int64_t rows = 0;
  for (const SequenceStep& sequence : plan.sequences) {
    WEFT_TRY(check_sequence(sequence, plan.step, limits));
    rows += sequence.rows();
  }
  if (rows > limits.max_rows)
    return damaged(fmt::format("{} rows, expected at most {} (engine.max_batch_tokens)", rows, limits.max_rows));
  return {};
}

}  // namespace weft::engine
