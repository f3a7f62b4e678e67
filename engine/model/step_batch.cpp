#include "engine/model/step_batch.h"

#include <fmt/format.h>

#include <algorithm>

namespace weft::engine {
namespace {

constexpr std::int64_t blocks_for(std::int64_t tokens, std::int64_t block_size) noexcept {
  return (tokens + block_size - 1) / block_size;
}

Status check_sequence(const SequenceStep& sequence, const StepLimits& limits) {
  const auto refuse = [&](std::string what) {
    return fail(ErrorCode::invalid_argument, fmt::format("model: plan: request {}: {}", sequence.request, what));
  };
  if (sequence.tail)
    return fail(ErrorCode::unimplemented,
                fmt::format("model: plan: request {} names a token that step {} sampled; this version takes ids only",
                            sequence.request, sequence.tail->step));
  if (sequence.tokens.empty()) return refuse("no rows");
  const std::int64_t end = std::int64_t{sequence.start} + static_cast<std::int64_t>(sequence.tokens.size());
  if (sequence.start < 0 || end > limits.context)
    return refuse(fmt::format("positions [{}, {}), the context holds {}", sequence.start, end, limits.context));
  const std::int64_t needed = blocks_for(end, limits.block_size);
  if (static_cast<std::int64_t>(sequence.blocks.size()) < needed)
    return refuse(fmt::format("{} blocks for {} tokens, {} are needed", sequence.blocks.size(), end, needed));
  for (const std::int32_t block : sequence.blocks)
    if (block < 0 || block >= limits.blocks)
      return refuse(fmt::format("block {}, the cache has {}", block, limits.blocks));
  if (sequence.first_scored < 0 || sequence.scored < 0 ||
      std::int64_t{sequence.first_scored} + sequence.scored > sequence.rows())
    return refuse(fmt::format("scores of {} rows from {} on, there are {}", sequence.scored, sequence.first_scored,
                              sequence.rows()));
  for (const TokenId id : sequence.tokens)
    if (id < 0 || id >= limits.vocabulary)
      return refuse(fmt::format("token id {}, the vocabulary has {}", id, limits.vocabulary));
  return {};
}

}  // namespace

Status StepBatch::build(const StepPlan& plan, const StepLimits& limits) {
  for (auto* values :
       {&ids_, &positions_, &slots_, &row_starts_, &context_lengths_, &block_tables_, &sample_rows_, &scored_rows_})
    values->clear();
  scored_.clear();
  if (plan.sequences.size() > static_cast<std::size_t>(limits.sequences))
    return fail(ErrorCode::invalid_argument, fmt::format("model: plan: {} sequences, at most {} fit a step",
                                                         plan.sequences.size(), limits.sequences));
  std::int64_t rows = 0;
  max_blocks_ = 0;
  for (const SequenceStep& sequence : plan.sequences) {
    WEFT_TRY(check_sequence(sequence, limits));
    rows += static_cast<std::int64_t>(sequence.tokens.size());
    const std::int64_t end = std::int64_t{sequence.start} + static_cast<std::int64_t>(sequence.tokens.size());
    max_blocks_ = std::max(max_blocks_, static_cast<std::int32_t>(blocks_for(end, limits.block_size)));
  }
  if (rows > limits.tokens)
    return fail(ErrorCode::invalid_argument,
                fmt::format("model: plan: {} rows, at most {} fit a step", rows, limits.tokens));
  for (std::size_t i = 0; i < plan.sequences.size(); ++i)
    add(i, plan.sequences[i], limits.block_size);
  row_starts_.push_back(tokens());
  return {};
}

void StepBatch::add(std::size_t index, const SequenceStep& sequence, std::int32_t block_size) {
  row_starts_.push_back(tokens());
  for (std::int32_t row = sequence.first_scored; row < sequence.first_scored + sequence.scored; ++row) {
    scored_rows_.push_back(tokens() + row);
    scored_.push_back({.sequence = index, .position = sequence.start + row});
  }
  std::int32_t position = sequence.start;
  for (const TokenId id : sequence.tokens) {
    ids_.push_back(id);
    positions_.push_back(position);
    // 64 bits would be needed only for a cache of more than 2^31 tokens, which create_cache() refuses.
    slots_.push_back(sequence.blocks[static_cast<std::size_t>(position / block_size)] * block_size +
                     position % block_size);
    ++position;
  }
  context_lengths_.push_back(position);
  const auto used = static_cast<std::size_t>(blocks_for(position, block_size));
  block_tables_.insert(block_tables_.end(), sequence.blocks.begin(),
                       sequence.blocks.begin() + static_cast<std::ptrdiff_t>(used));
  block_tables_.resize(block_tables_.size() + static_cast<std::size_t>(max_blocks_) - used, 0);
  if (sequence.sample) sample_rows_.push_back(tokens() - 1);
}

Result<PagedBatch> StepBatch::copy_in(Device& device, const Workspace& workspace) const {
  const auto copy = [&](Region region, const std::vector<std::int32_t>& values) -> Result<Buffer> {
    const Bytes bytes = values.size() * sizeof(std::int32_t);
    const Buffer to = workspace[region].slice(0, bytes);
    if (bytes > 0) WEFT_TRY(device.copy_in(to, values.data(), bytes, device.stream()));
    return to;
  };
  WEFT_TRY(copy(Region::ids, ids_));
  WEFT_ASSIGN(positions, copy(Region::positions, positions_));
  WEFT_ASSIGN(slots, copy(Region::slots, slots_));
  WEFT_ASSIGN(row_starts, copy(Region::row_starts, row_starts_));
  WEFT_ASSIGN(context_lengths, copy(Region::context_lengths, context_lengths_));
  WEFT_ASSIGN(block_tables, copy(Region::block_tables, block_tables_));
  return PagedBatch{.tokens = tokens(),
                    .sequences = static_cast<std::int32_t>(context_lengths_.size()),
                    .max_blocks = max_blocks_,
                    .positions = positions,
                    .slots = slots,
                    .row_starts = row_starts,
                    .context_lengths = context_lengths,
                    .block_tables = block_tables};
}

Status StepBatch::copy_rows(Device& device, const Workspace& workspace, std::span<const std::int32_t> rows) const {
  const Buffer to = workspace[Region::sample_rows].slice(0, rows.size_bytes());
  return rows.empty() ? Status{} : device.copy_in(to, rows.data(), rows.size_bytes(), device.stream());
}

}  // namespace weft::engine
