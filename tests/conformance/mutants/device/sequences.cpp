#include "tests/conformance/mutants/device/sequences.h"

#include <algorithm>
#include <cmath>

#include "tests/conformance/mutants/device/checks.h"
#include "tests/conformance/mutants/device/elements.h"
#include "tests/conformance/mutants/device/rows.h"
#include "tests/conformance/mutants/switch.h"

namespace weft::mutant {
namespace {

void turn(std::vector<double>& x, const RopeArgs& args, std::int64_t position) {
  const Matrix& table = matrix_of(args.table);
  const std::int32_t half = args.rotary_dim / 2;
  const std::int32_t partner = breaks("halves_of_the_head") ? args.head_dim / 2 : half;
  for (std::int32_t i = 0; i < half; ++i) {
    const auto first = static_cast<std::size_t>(breaks("adjacent_pairs") ? 2 * i : i);
    const auto second = static_cast<std::size_t>(breaks("adjacent_pairs") ? 2 * i + 1 : i + partner);
    const double cos = table.at(position, i), sin = table.at(position, half + i);
    const double a = x[first], b = x[second];
    x[first] = a * cos - b * sin;
    x[second] = b * cos + a * sin;
  }
}

// One query or key head of a row.
void prepare(std::vector<double>& x, const RopeArgs& args, const Weight* norm, std::int64_t position) {
  const bool late = breaks("turns_before_it_norms");
  if (norm != nullptr && !late) normalise(x, matrix_of(norm), double{args.epsilon}, double{args.weight_offset});
  if (args.table != nullptr) turn(x, args, position);
  if (norm != nullptr && late) normalise(x, matrix_of(norm), double{args.epsilon}, double{args.weight_offset});
}

void append(const RopeArgs& args, const Elements& qkv, std::int64_t row) {
  Cache& cache = *static_cast<Cache*>(args.cache);
  const std::int64_t slot = index_at(args.batch.slots, row);
  if (slot < 0 || slot >= std::int64_t{cache.block_count} * cache.spec.block_size) return;
  const std::int64_t width = std::int64_t{args.kv_heads} * args.head_dim;
  const std::int64_t keys = std::int64_t{args.query_heads} * args.head_dim;
  for (std::int64_t i = 0; i < width; ++i) {
    cache.set(args.layer, 0, slot, i, qkv.get(row, keys + i));
    cache.set(args.layer, 1, slot, i, qkv.get(row, keys + width + i));
  }
}

// Marks the blocks that a batch's sequences have written, by their number in it: for a device that thinks a block one's.
void own_blocks(const RopeArgs& args) {
  Cache& cache = *static_cast<Cache*>(args.cache);
  const PagedBatch& batch = args.batch;
  for (std::int32_t sequence = 0; sequence < batch.sequences; ++sequence)
    for (std::int32_t row = index_at(batch.row_starts, sequence); row < index_at(batch.row_starts, sequence + 1); ++row)
      cache.owners[static_cast<std::size_t>(index_at(batch.slots, row) / cache.spec.block_size)] = sequence;
}

// One query head of one row against what its sequence has in the cache.
class Head {
 public:
  Head(const AttentionArgs& args, std::int32_t sequence, std::int32_t row)
      : args_(args),
        cache_(*static_cast<const Cache*>(args.cache)),
        sequence_(sequence),
        row_(row),
        qkv_(args.qkv),
        position_(position_of(args, sequence, row)),
        first_(args.window <= 0 ? 0 : std::max<std::int64_t>(0, position_ - window() + 1)),
        last_(position_ + (breaks("sees_the_next") && position_ + 1 < context() ? 1 : 0)) {}

  void run(std::int32_t head, const Elements& out) {
    const std::int64_t kv = kv_head(head) * args_.head_dim;
    scores(head, kv);
    const double largest = *std::max_element(scores_.begin(), scores_.end());
    double total = 0;
    for (double& score : scores_)
      total += score = std::exp(score - (std::isfinite(largest) ? largest : 0));
    for (std::int32_t i = 0; i < args_.head_dim; ++i) {
      double sum = 0;
      for (std::int64_t at = first_; at <= last_; ++at)
        sum += scores_[static_cast<std::size_t>(at - first_)] * cache_.get(args_.layer, 1, slot(at), kv + i);
      if (breaks("reads_whole_blocks")) sum += 0 * rest_of_the_block(kv + i);
      if (breaks("tokens_see_each_other") && args_.batch.tokens > 15) sum = total * a_little_more(sum / total);
      out.set(row_, std::int64_t{head} * args_.head_dim + i, sum / total);
    }
  }

 private:
  static std::int64_t position_of(const AttentionArgs& args, std::int32_t sequence, std::int32_t row) {
    // As if every sequence began in this step.
    if (breaks("prefill_begins_anew") &&
        index_at(args.batch.row_starts, sequence + 1) - index_at(args.batch.row_starts, sequence) > 1)
      return row - index_at(args.batch.row_starts, sequence);
    return index_at(args.batch.positions, row);
  }
  std::int64_t window() const { return std::int64_t{args_.window} + (breaks("window_one_more") ? 1 : 0); }
  std::int64_t context() const { return index_at(args_.batch.context_lengths, sequence_); }
  std::int64_t kv_head(std::int32_t head) const {
    return breaks("kv_heads_in_turn") ? head % args_.kv_heads : head / (args_.query_heads / args_.kv_heads);
  }

  std::int64_t slot(std::int64_t at) const {
    const std::int32_t size = cache_.spec.block_size;
    const std::int64_t table = std::int64_t{sequence_} * args_.batch.max_blocks;
    if (breaks("blocks_in_a_row"))
      return (index_at(args_.batch.block_tables, table) * std::int64_t{size} + at) %
             (std::int64_t{cache_.block_count} * size);
    return index_at(args_.batch.block_tables, table + at / size) * std::int64_t{size} + at % size;
  }

  void scores(std::int32_t head, std::int64_t kv) {
    scores_.clear();
    for (std::int64_t at = first_; at <= last_; ++at) {
      double sum = 0;
      for (std::int32_t i = 0; i < args_.head_dim; ++i)
        sum += qkv_.get(row_, std::int64_t{head} * args_.head_dim + i) * cache_.get(args_.layer, 0, slot(at), kv + i);
      const auto owner = cache_.owners[static_cast<std::size_t>(slot(at) / cache_.spec.block_size)];
      if (breaks("blocks_are_owned") && owner != sequence_) sum = 0;
      scores_.push_back(capped(sum));
    }
  }

  double capped(double sum) const {
    const double scale = double{args_.scale}, cap = double{args_.soft_cap};
    if (cap == 0) return sum * scale;
    return breaks("caps_before_it_scales") ? scale * cap * std::tanh(sum / cap) : cap * std::tanh(sum * scale / cap);
  }

  // Of what lies in the last block behind the context.
  double rest_of_the_block(std::int64_t element) const {
    double sum = 0;
    for (std::int64_t at = last_; at % cache_.spec.block_size != 0; ++at)
      sum += cache_.get(args_.layer, 1, slot(last_) - last_ % cache_.spec.block_size + at % cache_.spec.block_size,
                        element);
    return sum;
  }

  const AttentionArgs& args_;
  const Cache& cache_;
  const std::int32_t sequence_;
  const std::int32_t row_;
  const Elements qkv_;
  const std::int64_t position_, first_, last_;
  std::vector<double> scores_;
};

}  // namespace

void rope_and_append(const RopeArgs& args) {
  const Elements qkv(args.qkv);
  std::vector<double> x(static_cast<std::size_t>(args.head_dim));
  if (breaks("blocks_are_owned")) own_blocks(args);
  for (std::int32_t row = 0; row < args.batch.tokens; ++row) {
    const std::int32_t heads = args.query_heads + args.kv_heads * (breaks("turns_values") ? 2 : 1);
    for (std::int32_t head = 0; head < heads; ++head) {
      const std::int64_t first = std::int64_t{head} * args.head_dim;
      for (std::size_t i = 0; i < x.size(); ++i)
        x[i] = qkv.get(row, first + static_cast<std::int64_t>(i));
      prepare(x, args, head < args.query_heads ? args.query_norm : args.key_norm, index_at(args.batch.positions, row));
      for (std::size_t i = 0; i < x.size(); ++i)
        qkv.set(row, first + static_cast<std::int64_t>(i), x[i]);
    }
    append(args, qkv, row);
    if (breaks("rope_writes_behind_rows") && qkv.has_gaps()) qkv.set(row, args.qkv.columns, 0);
  }
}

void attention(const AttentionArgs& args) {
  const Elements out(args.out), qkv(args.qkv);
  for (std::int32_t sequence = 0; sequence < args.batch.sequences; ++sequence)
    for (std::int32_t row = index_at(args.batch.row_starts, sequence);
         row < index_at(args.batch.row_starts, sequence + 1); ++row) {
      Head at(args, sequence, row);
      for (std::int32_t head = 0; head < args.query_heads; ++head)
        at.run(head, out);
      if (breaks("attention_scales_queries")) qkv.set(row, 0, qkv.get(row, 0) * double{args.scale});
    }
}

}  // namespace weft::mutant
