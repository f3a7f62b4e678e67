// Attention over the paged cache: Vaswani et al. 2017, section 3.2.1, with a causal limit, a window and a soft cap.
//
// Up to four queries of one KV head (its query heads, and rows that follow each other) share each reading of keys and
// values. Every sum of a query is made in an order that its own position and window fix: a score element by element, the
// exponentials from the query's first position on, the values position by position. So which queries are worked on
// together changes nothing.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention_kernels.cpp"
#include <hwy/foreach_target.h>  // must come before highway.h

#include <hwy/highway.h>

#include <algorithm>
#include <limits>

#include <hwy/contrib/math/math-inl.h>

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace weft {
namespace HWY_NAMESPACE {
namespace {

constexpr std::size_t most = attention_queries;
constexpr auto vector_size = static_cast<std::int64_t>(lanes);

// One query: what it sees, and its share of the scratch.
struct Query {
  std::int32_t row = 0;
  std::int32_t head = 0;
  std::int64_t first = 0;  // positions it sees, both included
  std::int64_t last = 0;
  float* vector = nullptr;  // [head_dim]
  float* out = nullptr;     // [value_stride]
  float* scores = nullptr;  // of position `base` and those after it
  float scale = 0;          // of `out`, in the end
};

Query make_query(const AttentionPart& part, std::int64_t index, std::size_t place) {
  const AttentionArgs& args = *part.args;
  const std::int32_t group = args.query_heads / args.kv_heads;
  Query query{.row = part.first_row + static_cast<std::int32_t>(index / group),
              .head = part.kv_head * group + static_cast<std::int32_t>(index % group)};
  query.last = args.batch.positions.as<const std::int32_t>()[query.row];
  query.first = args.window == 0 ? 0 : std::max<std::int64_t>(0, query.last - args.window + 1);
  const std::int64_t width = part.tiles->value_stride;
  float* own = part.scratch + static_cast<std::int64_t>(place) * (2 * width + attention_scores(part.context));
  query.vector = own;
  query.out = own + width;
  query.scores = own + 2 * width;
  std::fill_n(query.out, width, 0.0f);
  return query;
}

template <class T>
void load_query(const AttentionArgs& args, const Query& query) {
  const T* row = args.qkv.buffer.as<const T>() + query.row * args.qkv.stride();
  const auto size = static_cast<std::size_t>(args.head_dim);
  widen_row(row + std::int64_t{query.head} * args.head_dim, query.vector, size);
}

template <class T>
void store_query(const AttentionArgs& args, const Query& query) {
  for (std::int32_t i = 0; i < args.head_dim; ++i)
    query.out[i] *= query.scale;
  T* row = args.out.buffer.as<T>() + query.row * args.out.stride();
  narrow_row(query.out, row + std::int64_t{query.head} * args.head_dim, static_cast<std::size_t>(args.head_dim));
}

// Tiles of one sequence and KV head.
template <class T>
class Tiles {
 public:
  explicit Tiles(const AttentionPart& part)
      : shape_(*part.tiles),
        layer_(static_cast<const T*>(part.layer)),
        kv_head_(part.kv_head),
        table_(part.args->batch.block_tables.as<const std::int32_t>() +
               std::int64_t{part.sequence} * part.args->batch.max_blocks) {}

  const TileShape& shape() const { return shape_; }
  const T* keys(std::int64_t block) const { return layer_ + shape_.offset(table_[block], kv_head_); }
  const T* values(std::int64_t block) const { return keys(block) + shape_.values_at; }

 private:
  const TileShape& shape_;
  const T* layer_;
  std::int64_t kv_head_;
  const std::int32_t* table_;
};

// Scores of `Count` queries with `Vectors` vectors of tokens: `keys` [head_dim] apart by `stride`.
template <class T, std::size_t Count, std::size_t Vectors>
HWY_INLINE void score(const AttentionArgs& args, const Query* queries, const T* const* keys, std::int64_t stride,
                      const std::int64_t* at) {
  Vector total[Count][Vectors];
  for (std::size_t q = 0; q < Count; ++q)
    for (std::size_t v = 0; v < Vectors; ++v)
      total[q][v] = hn::Zero(F32());
  for (std::int64_t i = 0; i < args.head_dim; ++i) {
    Vector key[Vectors];
    for (std::size_t v = 0; v < Vectors; ++v)
      key[v] = widen(keys[v] + i * stride);
    for (std::size_t q = 0; q < Count; ++q) {
      const auto x = hn::Set(F32(), queries[q].vector[i]);
      for (std::size_t v = 0; v < Vectors; ++v)
        total[q][v] = hn::MulAdd(x, key[v], total[q][v]);
    }
  }
  const auto scale = hn::Set(F32(), args.scale);
  for (std::size_t q = 0; q < Count; ++q)
    for (std::size_t v = 0; v < Vectors; ++v) {
      auto value = hn::Mul(total[q][v], scale);
      if (args.soft_cap != 0) {
        const auto cap = hn::Set(F32(), args.soft_cap);
        value = hn::Mul(cap, hn::Tanh(F32(), hn::Div(value, cap)));
      }
      narrow(value, queries[q].scores + at[v]);
    }
}

// Scores of positions from block `block` on, up to `last`. A block's last vector may hold more than its tokens: what is
// too much is overwritten by the next block, or lies past `last`.
template <class T, std::size_t Count>
void score_all(const AttentionArgs& args, const Tiles<T>& tiles, const Query* queries, std::int64_t block,
               std::int64_t last) {
  constexpr std::size_t vectors = Count == 1 ? 4 : Count == 2 ? 2 : 1;  // enough sums under way to hide an addition
  const TileShape& shape = tiles.shape();
  const std::int64_t base = block * shape.block_size;
  const T* keys[vectors];
  std::int64_t at[vectors];
  std::size_t waiting = 0;
  for (; block * shape.block_size <= last; ++block) {
    const std::int64_t start = block * shape.block_size;
    const std::int64_t size = std::min(shape.block_size, last - start + 1);
    for (std::int64_t offset = 0; offset < size; offset += vector_size) {
      keys[waiting] = tiles.keys(block) + offset;
      at[waiting] = start - base + offset;
      if (++waiting < vectors) continue;
      score<T, Count, vectors>(args, queries, keys, shape.key_stride, at);
      waiting = 0;
    }
  }
  for (std::size_t i = 0; i < waiting; ++i)
    score<T, Count, 1>(args, queries, keys + i, shape.key_stride, at + i);
}

// Scores to exponentials of their distance from the largest; the scale is one over their sum.
void soften(Query& query, std::int64_t base) {
  float* scores = query.scores + (query.first - base);
  const std::int64_t size = query.last - query.first + 1;
  narrow(hn::Set(F32(), -std::numeric_limits<float>::infinity()), scores + size);
  auto largest = widen(scores);
  for (std::int64_t i = vector_size; i < size; i += vector_size)
    largest = hn::Max(largest, widen(scores + i));
  largest = hn::MaxOfLanes(F32(), largest);
  auto sum = hn::Zero(F32());
  for (std::int64_t i = 0; i < size; i += vector_size) {
    const auto exponential = hn::Exp(F32(), hn::Sub(widen(scores + i), largest));
    narrow(exponential, scores + i);
    sum = hn::Add(sum, exponential);
  }
  query.scale = 1 / hn::GetLane(hn::SumOfLanes(F32(), sum));
}

// out[column, column + Vectors * lanes) += scores * values, position after position.
template <class T, std::size_t Count, std::size_t Vectors>
void add_columns(const Tiles<T>& tiles, const Query* queries, std::int64_t base, std::int64_t first, std::int64_t end,
                 std::int64_t column) {
  const TileShape& shape = tiles.shape();
  Vector total[Count][Vectors];
  for (std::size_t q = 0; q < Count; ++q)
    for (std::size_t v = 0; v < Vectors; ++v)
      total[q][v] = widen(queries[q].out + column + v * lanes);
  for (std::int64_t position = first; position < end;) {
    const std::int64_t block = position / shape.block_size;
    const std::int64_t stop = std::min(end, (block + 1) * shape.block_size);
    const T* value = tiles.values(block) + (position - block * shape.block_size) * shape.value_stride + column;
    for (; position < stop; ++position, value += shape.value_stride) {
      Vector wide[Vectors];
      for (std::size_t v = 0; v < Vectors; ++v)
        wide[v] = widen(value + v * lanes);
      for (std::size_t q = 0; q < Count; ++q) {
        const auto weight = hn::Set(F32(), queries[q].scores[position - base]);
        for (std::size_t v = 0; v < Vectors; ++v)
          total[q][v] = hn::MulAdd(weight, wide[v], total[q][v]);
      }
    }
  }
  for (std::size_t q = 0; q < Count; ++q)
    for (std::size_t v = 0; v < Vectors; ++v)
      narrow(total[q][v], queries[q].out + column + v * lanes);
}

template <class T, std::size_t Count>
void add_values(const Tiles<T>& tiles, const Query* queries, std::int64_t base, std::int64_t first, std::int64_t end) {
  if (first >= end) return;
  constexpr std::size_t vectors = lanes == 16 ? 4 : 2;
  std::int64_t column = 0;
  for (; column + static_cast<std::int64_t>(vectors * lanes) <= tiles.shape().value_stride; column += vectors * lanes)
    add_columns<T, Count, vectors>(tiles, queries, base, first, end, column);
  for (; column < tiles.shape().value_stride; column += vector_size)
    add_columns<T, Count, 1>(tiles, queries, base, first, end, column);
}

// Positions that all queries see are added for all at once, those before and after for each alone: what a query does
// not see may be anything, infinities too.
template <class T, std::size_t Count>
void attend_together(const AttentionPart& part, Query* queries) {
  const Tiles<T> tiles(part);
  std::int64_t first = queries[0].first, common_first = first;
  std::int64_t last = queries[0].last, common_last = last;
  for (std::size_t q = 1; q < Count; ++q) {
    first = std::min(first, queries[q].first);
    last = std::max(last, queries[q].last);
    common_first = std::max(common_first, queries[q].first);
    common_last = std::min(common_last, queries[q].last);
  }
  const std::int64_t block = first / tiles.shape().block_size;
  const std::int64_t base = block * tiles.shape().block_size;
  score_all<T, Count>(*part.args, tiles, queries, block, last);
  for (std::size_t q = 0; q < Count; ++q)
    soften(queries[q], base);
  const std::int64_t common_end = std::max(common_first, common_last + 1);
  for (std::size_t q = 0; q < Count; ++q)
    add_values<T, 1>(tiles, queries + q, base, queries[q].first, std::min(common_first, queries[q].last + 1));
  add_values<T, Count>(tiles, queries, base, common_first, common_end);
  for (std::size_t q = 0; q < Count; ++q)
    add_values<T, 1>(tiles, queries + q, base, common_end, queries[q].last + 1);
}

template <class T>
void attend_part(const AttentionPart& part) {
  const AttentionArgs& args = *part.args;
  const std::int64_t count = std::int64_t{part.last_row - part.first_row} * (args.query_heads / args.kv_heads);
  for (std::int64_t index = 0; index < count;) {
    const auto size = static_cast<std::size_t>(std::min<std::int64_t>(most, count - index));
    Query queries[most];
    for (std::size_t q = 0; q < size; ++q, ++index) {
      queries[q] = make_query(part, index, q);
      switch (args.qkv.type) {
        case DType::f16: load_query<f16>(args, queries[q]); break;
        case DType::bf16: load_query<bf16>(args, queries[q]); break;
        default: load_query<float>(args, queries[q]);
      }
    }
    switch (size) {
      case 1: attend_together<T, 1>(part, queries); break;
      case 2: attend_together<T, 2>(part, queries); break;
      case 3: attend_together<T, 3>(part, queries); break;
      default: attend_together<T, 4>(part, queries);
    }
    for (std::size_t q = 0; q < size; ++q) {
      switch (args.out.type) {
        case DType::f16: store_query<f16>(args, queries[q]); break;
        case DType::bf16: store_query<bf16>(args, queries[q]); break;
        default: store_query<float>(args, queries[q]);
      }
    }
  }
}

void attend(const AttentionPart& part) {
  switch (part.type) {
    case DType::f16: attend_part<f16>(part); break;
    case DType::bf16: attend_part<bf16>(part); break;
    default: attend_part<float>(part);
  }
}

const AttentionKernels* table() {
  static constexpr AttentionKernels kernels{.attend = &attend};
  return &kernels;
}

}  // namespace
const AttentionKernels* attention_table() { return table(); }
}  // namespace HWY_NAMESPACE
}  // namespace weft
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace weft {
HWY_EXPORT(attention_table);
const AttentionKernels& attention_kernels() { return *HWY_DYNAMIC_DISPATCH(attention_table)(); }
}  // namespace weft
#endif
