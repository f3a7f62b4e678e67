#include "kernels/reference/sequence.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/reference/matrix.h"

namespace weft {
namespace {

// Su et al. 2021, eq. 34, with the pairs of GPT-NeoX: (i, i + half).
void rotate(std::vector<double>& head, const float* cos_sin, std::int32_t rotary_dim) {
  const auto half = static_cast<std::size_t>(rotary_dim / 2);
  for (std::size_t i = 0; i < half; ++i) {
    const double cos = double{cos_sin[i]};
    const double sin = double{cos_sin[half + i]};
    const double a = head[i];
    const double b = head[i + half];
    head[i] = a * cos - b * sin;
    head[i + half] = b * cos + a * sin;
  }
}

// The query of one row and head against its sequence's context.
class Query {
 public:
  Query(const AttentionArgs& args, const ReferenceKvCache& cache, std::int32_t sequence)
      : args_(args),
        cache_(cache),
        table_(args.batch.block_tables.as<const std::int32_t>() + std::int64_t{sequence} * args.batch.max_blocks) {}

  void run(std::int32_t row, std::int32_t head) {
    const std::int32_t last = args_.batch.positions.as<const std::int32_t>()[row];
    // `first` in 64 bits: a window may be as large as an i32.
    const auto first =
        args_.window == 0 ? 0
                          : static_cast<std::int32_t>(std::max<std::int64_t>(0, std::int64_t{last} - args_.window + 1));
    const std::int32_t kv_head = head / (args_.query_heads / args_.kv_heads);
    const std::int64_t column = std::int64_t{head} * args_.head_dim;

    std::vector<double> weights;
    for (std::int32_t position = first; position <= last; ++position)
      weights.push_back(score(row, column, cache_.key(args_.layer, slot(position), kv_head)));
    const double largest = *std::max_element(weights.begin(), weights.end());
    double sum = 0;
    for (double& weight : weights)
      sum += weight = std::exp(weight - largest);

    for (std::int32_t i = 0; i < args_.head_dim; ++i) {
      double out = 0;
      for (std::int32_t position = first; position <= last; ++position)
        out += weights[static_cast<std::size_t>(position - first)] *
               double{cache_.value(args_.layer, slot(position), kv_head)[i]};
      store(args_.out, row, column + i, out / sum);
    }
  }

 private:
  std::int64_t slot(std::int32_t position) const {
    const std::int32_t block_size = cache_.shape().spec.block_size;
    return std::int64_t{table_[position / block_size]} * block_size + position % block_size;
  }
  double score(std::int32_t row, std::int64_t column, const float* key) const {
    double sum = 0;
    for (std::int32_t i = 0; i < args_.head_dim; ++i)
      sum += double{load(args_.qkv, row, column + i)} * double{key[i]};
    sum *= double{args_.scale};
    const double cap = double{args_.soft_cap};
    return cap == 0 ? sum : cap * std::tanh(sum / cap);
  }

  const AttentionArgs& args_;
  const ReferenceKvCache& cache_;
  const std::int32_t* table_;
};

}  // namespace

void reference_rope_and_append(const RopeArgs& args, const RopeTables& tables, ReferenceKvCache& cache) {
  const auto* positions = args.batch.positions.as<const std::int32_t>();
  const auto* slots = args.batch.slots.as<const std::int32_t>();
  std::vector<double> head(static_cast<std::size_t>(args.head_dim));
  for (std::int32_t row = 0; row < args.batch.tokens; ++row) {
    for (std::int32_t index = 0; index < args.query_heads + args.kv_heads; ++index) {
      const bool is_key = index >= args.query_heads;
      const std::int64_t column = std::int64_t{index} * args.head_dim;
      for (std::int32_t i = 0; i < args.head_dim; ++i)
        head[static_cast<std::size_t>(i)] = double{load(args.qkv, row, column + i)};
      const ReferenceWeight* norm = is_key ? tables.key_norm : tables.query_norm;
      if (norm != nullptr) normalise(head, norm->row(0), double{args.weight_offset}, double{args.epsilon});
      if (tables.table != nullptr) rotate(head, tables.table->row(positions[row]), args.rotary_dim);
      for (std::int32_t i = 0; i < args.head_dim; ++i)
        store(args.qkv, row, column + i, head[static_cast<std::size_t>(i)]);
    }
    // The cache holds what qkv now holds, rounded to the cache's type.
    const DType type = cache.shape().spec.type;
    for (std::int32_t kv_head = 0; kv_head < args.kv_heads; ++kv_head) {
      const std::int64_t key = (std::int64_t{args.query_heads} + kv_head) * args.head_dim;
      const std::int64_t value = key + std::int64_t{args.kv_heads} * args.head_dim;
      for (std::int32_t i = 0; i < args.head_dim; ++i) {
        cache.key(args.layer, slots[row], kv_head)[i] = round_to(type, double{load(args.qkv, row, key + i)});
        cache.value(args.layer, slots[row], kv_head)[i] = round_to(type, double{load(args.qkv, row, value + i)});
      }
    }
  }
}

void reference_attention(const AttentionArgs& args, const ReferenceKvCache& cache) {
  const auto* starts = args.batch.row_starts.as<const std::int32_t>();
  if (args.batch.tokens == 0) return;
  for (std::int32_t sequence = 0; sequence < args.batch.sequences; ++sequence) {
    Query query(args, cache, sequence);
    for (std::int32_t row = starts[sequence]; row < starts[sequence + 1]; ++row)
      for (std::int32_t head = 0; head < args.query_heads; ++head)
        query.run(row, head);
  }
}

}  // namespace weft
