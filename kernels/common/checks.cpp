#include "kernels/common/checks.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

namespace weft {
namespace {

// Products of three sizes below this stay within 63 bits.
constexpr std::int64_t size_limit = std::int64_t{1} << 20;

template <class... Arguments>
tl::unexpected<Error> refuse(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  return fail(ErrorCode::invalid_argument, fmt::format(format, std::forward<Arguments>(arguments)...));
}

std::string_view to_string(WeightUse use) {
  switch (use) {
    case WeightUse::linear: return "linear";
    case WeightUse::embedding: return "embedding";
    case WeightUse::vector: return "vector";
    case WeightUse::table: return "table";
  }
  return "unknown";
}

bool is_aligned(const void* data, std::size_t alignment) {
  return reinterpret_cast<std::uintptr_t>(data) % alignment == 0;
}

// Elements from the first to the last of a strided matrix; false where that overflows.
bool extent(std::int64_t rows, std::int64_t columns, std::int64_t stride, std::int64_t& elements) {
  if (rows == 0 || columns == 0) {
    elements = 0;
    return true;
  }
  return !__builtin_mul_overflow(rows - 1, stride, &elements) &&
         !__builtin_add_overflow(elements, columns, &elements) &&
         elements <= std::numeric_limits<std::int64_t>::max() / 8;
}

// `name` for a matrix of any element type.
Status check_matrix(std::string_view name, const TensorView& view, std::int64_t rows, std::int64_t columns) {
  if (view.rows != rows || view.columns != columns || rows < 0 || columns < 0)
    return refuse("{} is [{}, {}], expected [{}, {}]", name, view.rows, view.columns, rows, columns);
  if (view.stride() < columns) return refuse("{}: {} columns at a row stride of {}", name, columns, view.stride());
  std::int64_t elements = 0;
  const auto size = size_of(view.type);
  if (size == 0 || !extent(rows, columns, view.stride(), elements))
    return refuse("{}: [{}, {}] with row stride {} of {} is no size", name, rows, columns, view.stride(),
                  weft::to_string(view.type));
  if (elements == 0) return {};
  const auto bytes = static_cast<Bytes>(elements) * size;
  if (view.buffer.kind == MemoryKind::device) return refuse("{} is not in host memory", name);
  if (view.buffer.data == nullptr || view.buffer.size < bytes)
    return refuse("{}: [{}, {}] of {} with row stride {} needs {} bytes, the buffer has {}", name, rows, columns,
                  weft::to_string(view.type), view.stride(), bytes, view.buffer.data == nullptr ? 0 : view.buffer.size);
  if (!is_aligned(view.buffer.data, size)) return refuse("{} is not aligned to {} bytes", name, size);
  return {};
}

Status check_weight(std::string_view name, const WeightShape* weight, WeightUse use) {
  if (weight == nullptr) return refuse("{}: there is none, or it is another device's", name);
  if (weight->use != use)
    return refuse("{} '{}' was loaded as {}, expected {}", name, weight->name, to_string(weight->use), to_string(use));
  return {};
}

Status check_norm_weight(std::string_view name, const WeightShape* weight, std::int64_t columns) {
  WEFT_TRY(check_weight(name, weight, WeightUse::vector));
  if (weight->columns != columns)
    return refuse("{} '{}' has {} elements, expected {}", name, weight->name, weight->columns, columns);
  return {};
}

// Indices [0, limit) where `limit` is given; the i32 themselves.
Status check_range(std::string_view name, const Buffer& buffer, std::int64_t count, std::int64_t limit) {
  WEFT_TRY(check_indices(name, buffer, count));
  const auto* values = buffer.as<const std::int32_t>();
  for (std::int64_t i = 0; i < count; ++i)
    if (values[i] < 0 || values[i] >= limit)
      return refuse("{}[{}] is {}, expected 0 to {}", name, i, values[i], limit - 1);
  return {};
}

struct HeadShape {
  std::int32_t query_heads;
  std::int32_t kv_heads;
  std::int32_t head_dim;
};

// What rope_and_append and attention have in common: the heads, the cache, the shape of qkv.
Status check_heads(const HeadShape& heads, const TensorView& qkv, std::int32_t tokens, const CacheShape* cache,
                   std::int32_t layer) {
  if (heads.query_heads < 1 || heads.kv_heads < 1 || heads.head_dim < 1 || heads.query_heads > size_limit ||
      heads.kv_heads > size_limit || heads.head_dim > size_limit || heads.query_heads % heads.kv_heads != 0)
    return refuse("{} query heads over {} KV heads of {}: the KV heads must divide the query heads", heads.query_heads,
                  heads.kv_heads, heads.head_dim);
  if (tokens < 0) return refuse("a batch of {} tokens", tokens);
  const std::int64_t width =
      (std::int64_t{heads.query_heads} + 2 * std::int64_t{heads.kv_heads}) * std::int64_t{heads.head_dim};
  WEFT_TRY(check_view("qkv", qkv, tokens, width));
  if (cache == nullptr) return refuse("the KV cache: there is none, or it is another device's");
  if (cache->spec.kv_heads != heads.kv_heads || cache->spec.head_dim != heads.head_dim)
    return refuse("the KV cache has {} heads of {}, expected {} of {}", cache->spec.kv_heads, cache->spec.head_dim,
                  heads.kv_heads, heads.head_dim);
  if (layer < 0 || layer >= cache->spec.layers)
    return refuse("layer {} of a KV cache with {} layers", layer, cache->spec.layers);
  return {};
}

// One sequence of attention's batch: its rows see places in its context, and its context lies in the cache.
Status check_sequence(const PagedBatch& batch, const CacheShape& cache, std::int32_t sequence) {
  const auto* positions = batch.positions.as<const std::int32_t>();
  const auto* starts = batch.row_starts.as<const std::int32_t>();
  const std::int32_t first = starts[sequence];
  const std::int32_t last = starts[sequence + 1];
  if (first < 0 || last < first || last > batch.tokens)
    return refuse("row_starts[{}] and its next are {} and {}, expected ascending within 0 to {}", sequence, first, last,
                  batch.tokens);
  if (first == last) return {};
  const std::int32_t context = batch.context_lengths.as<const std::int32_t>()[sequence];
  const std::int32_t block_size = cache.spec.block_size;
  const std::int64_t blocks = (std::int64_t{context} + block_size - 1) / block_size;
  if (context < 1 || blocks > batch.max_blocks)
    return refuse("context_lengths[{}] is {}, expected 1 to {} ({} blocks of {})", sequence, context,
                  std::int64_t{batch.max_blocks} * block_size, batch.max_blocks, block_size);
  for (std::int32_t row = first; row < last; ++row)
    if (positions[row] < 0 || positions[row] >= context)
      return refuse("positions[{}] is {}, expected 0 to {} (the context of sequence {})", row, positions[row],
                    context - 1, sequence);
  const auto* table = batch.block_tables.as<const std::int32_t>() + std::int64_t{sequence} * batch.max_blocks;
  for (std::int64_t i = 0; i < blocks; ++i)
    if (table[i] < 0 || table[i] >= cache.blocks)
      return refuse("block_tables[{}][{}] is {}, expected 0 to {}", sequence, i, table[i], cache.blocks - 1);
  return {};
}

Status check_sequences(const PagedBatch& batch, const CacheShape& cache) {
  const std::int64_t sequences = batch.sequences;
  if (sequences < 1 || batch.max_blocks < 1)
    return refuse("{} rows in {} sequences of at most {} blocks", batch.tokens, sequences, batch.max_blocks);
  WEFT_TRY(check_indices("positions", batch.positions, batch.tokens));
  WEFT_TRY(check_indices("row_starts", batch.row_starts, sequences + 1));
  WEFT_TRY(check_indices("context_lengths", batch.context_lengths, sequences));
  WEFT_TRY(check_indices("block_tables", batch.block_tables, sequences * batch.max_blocks));
  const auto* starts = batch.row_starts.as<const std::int32_t>();
  if (starts[0] != 0 || starts[sequences] != batch.tokens)
    return refuse("row_starts goes from {} to {}, expected 0 to {}", starts[0], starts[sequences], batch.tokens);
  for (std::int32_t sequence = 0; sequence < batch.sequences; ++sequence)
    WEFT_TRY(check_sequence(batch, cache, sequence));
  return {};
}

Status check_part(const WeightPart& part, const WeightPart& first) {
  if (part.data == nullptr || part.rows < 1 || part.columns < 1 || !is_float(part.type))
    return refuse("a part of [{}, {}] {}, expected rows and columns of f32, f16 or bf16", part.rows, part.columns,
                  weft::to_string(part.type));
  if (part.columns != first.columns)
    return refuse("parts of {} and {} columns, expected equal ones", first.columns, part.columns);
  if ((part.bias == nullptr) != (first.bias == nullptr)) return refuse("some parts have a bias and some have none");
  const std::int64_t stride = part.row_stride == 0 ? part.columns : part.row_stride;
  std::int64_t elements = 0;
  if (stride < part.columns || !extent(part.rows, part.columns, stride, elements))
    return refuse("a part of [{}, {}] with row stride {}", part.rows, part.columns, part.row_stride);
  return {};
}

}  // namespace

Result<WeightShape> check_parts(std::span<const WeightPart> parts, const WeightSpec& spec) {
  if (spec.quantization != "none")
    return fail(ErrorCode::unimplemented,
                fmt::format("weight '{}': quantization '{}'; this device has 'none'", spec.name, spec.quantization));
  const std::string context = fmt::format("weight '{}'", spec.name);
  if (!is_float(spec.compute))
    return refuse("{}: to compute in {}, expected f32, f16 or bf16", context, weft::to_string(spec.compute));
  if (parts.empty()) return refuse("{}: no parts", context);
  WeightShape shape{.name = spec.name, .use = spec.use, .columns = parts[0].columns, .bias = parts[0].bias != nullptr};
  for (const WeightPart& part : parts) {
    WEFT_TRY_CONTEXT(check_part(part, parts[0]), context);
    if (__builtin_add_overflow(shape.rows, part.rows, &shape.rows)) return refuse("{}: too many rows", context);
  }
  std::int64_t elements = 0;
  if (!extent(shape.rows, shape.columns, shape.columns, elements)) return refuse("{}: too large", context);
  if (spec.use == WeightUse::vector && shape.rows != 1)
    return refuse("{}: {} rows for a vector, expected 1", context, shape.rows);
  if (spec.use != WeightUse::linear && shape.bias)
    return refuse("{}: a bias for a weight of use {}", context, to_string(spec.use));
  return shape;
}

Status check_cache(const KvSpec& spec, std::int32_t blocks) {
  if (spec.layers < 1 || spec.kv_heads < 1 || spec.head_dim < 1 || spec.block_size < 1 || blocks < 1 ||
      !is_float(spec.type))
    return refuse("a KV cache of {} layers, {} heads of {}, {} blocks of {} tokens, type {}", spec.layers,
                  spec.kv_heads, spec.head_dim, blocks, spec.block_size, weft::to_string(spec.type));
  // Padding of a row or a column to 16 elements, both of K and V, 4 bytes each.
  std::int64_t bytes = 2 * 4;
  for (const std::int64_t factor :
       {std::int64_t{spec.layers}, std::int64_t{spec.kv_heads}, spec.head_dim + std::int64_t{15},
        spec.block_size + std::int64_t{15}, std::int64_t{blocks}})
    if (__builtin_mul_overflow(bytes, factor, &bytes))
      return refuse("a KV cache of {} blocks of {} tokens, {} layers, {} heads of {} is too large", blocks,
                    spec.block_size, spec.layers, spec.kv_heads, spec.head_dim);
  return {};
}

Status check_stream(Stream stream) {
  if (stream.kind != Stream::Kind::host) return refuse("the stream is not this device's: expected a host stream");
  return {};
}

Status check_view(std::string_view name, const TensorView& view, std::int64_t rows, std::int64_t columns) {
  if (!is_float(view.type))
    return refuse("{} is of type {}, expected f32, f16 or bf16", name, weft::to_string(view.type));
  return check_matrix(name, view, rows, columns);
}

Status check_indices(std::string_view name, const Buffer& buffer, std::int64_t count) {
  return check_matrix(name, {.buffer = buffer, .type = DType::i32, .rows = 1, .columns = count}, 1, count);
}

Status check_embed(const EmbedArgs& args, const WeightShape* table) {
  WEFT_TRY_CONTEXT(check_weight("table", table, WeightUse::embedding), "embed");
  WEFT_TRY_CONTEXT(check_view("out", args.out, args.out.rows, table->columns), "embed");
  WEFT_TRY_CONTEXT(check_indices("ids", args.ids, args.out.rows), "embed");
  return {};
}

Status check_rms_norm(const NormArgs& args, const WeightShape* weight) {
  WEFT_TRY_CONTEXT(check_norm_weight("weight", weight, args.in.columns), "rms_norm");
  const auto context = [&] { return fmt::format("rms_norm '{}'", weight->name); };
  WEFT_TRY_CONTEXT(check_view("in", args.in, args.in.rows, weight->columns), context());
  WEFT_TRY_CONTEXT(check_view("out", args.out, args.in.rows, weight->columns), context());
  if (args.residual.buffer.data != nullptr)
    WEFT_TRY_CONTEXT(check_view("residual", args.residual, args.in.rows, weight->columns), context());
  if (!(args.epsilon >= 0)) return refuse("{}: epsilon {}, expected 0 or more", context(), args.epsilon);
  return {};
}

Status check_linear(const LinearArgs& args, const WeightShape* weight) {
  WEFT_TRY_CONTEXT(check_weight("weight", weight, WeightUse::linear), "linear");
  const auto context = [&] { return fmt::format("linear '{}'", weight->name); };
  const bool gate = args.epilogue == LinearArgs::Epilogue::gate;
  if (gate && weight->rows % 2 != 0)
    return refuse("{}: {} rows for gate and up, expected an even number", context(), weight->rows);
  WEFT_TRY_CONTEXT(check_view("in", args.in, args.in.rows, weight->columns), context());
  WEFT_TRY_CONTEXT(check_view("out", args.out, args.in.rows, gate ? weight->rows / 2 : weight->rows), context());
  return {};
}

Status check_rope(const RopeArgs& args, const RopeWeights& weights, const CacheShape* cache) {
  constexpr std::string_view context = "rope_and_append";
  WEFT_TRY_CONTEXT(
      check_heads({args.query_heads, args.kv_heads, args.head_dim}, args.qkv, args.batch.tokens, cache, args.layer),
      context);
  std::int64_t positions = std::numeric_limits<std::int32_t>::max();
  if (args.table != nullptr) {
    WEFT_TRY_CONTEXT(check_weight("table", weights.table, WeightUse::table), context);
    if (args.rotary_dim < 2 || args.rotary_dim % 2 != 0 || args.rotary_dim > args.head_dim ||
        weights.table->columns != args.rotary_dim)
      return refuse(
          "{}: rotary_dim {} with a table of {} columns and heads of {}: expected an even number within a "
          "head, and a table as wide",
          context, args.rotary_dim, weights.table->columns, args.head_dim);
    positions = weights.table->rows;
  }
  if (args.query_norm != nullptr)
    WEFT_TRY_CONTEXT(check_norm_weight("query_norm", weights.query_norm, args.head_dim), context);
  if (args.key_norm != nullptr)
    WEFT_TRY_CONTEXT(check_norm_weight("key_norm", weights.key_norm, args.head_dim), context);
  if (!(args.epsilon >= 0)) return refuse("{}: epsilon {}, expected 0 or more", context, args.epsilon);
  WEFT_TRY_CONTEXT(check_range("positions", args.batch.positions, args.batch.tokens, positions), context);
  WEFT_TRY_CONTEXT(
      check_range("slots", args.batch.slots, args.batch.tokens, std::int64_t{cache->blocks} * cache->spec.block_size),
      context);
  return {};
}

Status check_attention(const AttentionArgs& args, const CacheShape* cache) {
  constexpr std::string_view context = "attention";
  WEFT_TRY_CONTEXT(
      check_heads({args.query_heads, args.kv_heads, args.head_dim}, args.qkv, args.batch.tokens, cache, args.layer),
      context);
  WEFT_TRY_CONTEXT(
      check_view("out", args.out, args.batch.tokens, std::int64_t{args.query_heads} * std::int64_t{args.head_dim}),
      context);
  if (!std::isfinite(args.scale) || !(args.soft_cap >= 0) || std::isinf(args.soft_cap) || args.window < 0)
    return refuse("{}: scale {}, soft cap {}, window {}: expected finite ones, and 0 or more for the last two", context,
                  args.scale, args.soft_cap, args.window);
  if (args.batch.tokens > 0) WEFT_TRY_CONTEXT(check_sequences(args.batch, *cache), context);
  return {};
}

Status check_gather(const TensorView& in, const Buffer& rows, const TensorView& out) {
  constexpr std::string_view context = "gather_rows";
  if (in.type != out.type)
    return refuse("{}: from {} to {}, expected equal types", context, weft::to_string(in.type),
                  weft::to_string(out.type));
  WEFT_TRY_CONTEXT(check_matrix("in", in, in.rows, in.columns), context);
  WEFT_TRY_CONTEXT(check_matrix("out", out, out.rows, in.columns), context);
  WEFT_TRY_CONTEXT(check_range("rows", rows, out.rows, in.rows), context);
  return {};
}

Status check_argmax(const TensorView& logits, const Buffer& ids, const Buffer& values) {
  constexpr std::string_view context = "argmax";
  WEFT_TRY_CONTEXT(check_view("logits", logits, logits.rows, logits.columns), context);
  if (logits.rows > 0 && (logits.columns < 1 || logits.columns > std::numeric_limits<std::int32_t>::max()))
    return refuse("{}: {} columns", context, logits.columns);
  WEFT_TRY_CONTEXT(check_indices("ids", ids, logits.rows), context);
  if (values.data != nullptr)
    WEFT_TRY_CONTEXT(check_matrix("values", {.buffer = values, .type = DType::f32, .rows = 1, .columns = logits.rows},
                                  1, logits.rows),
                     context);
  return {};
}

}  // namespace weft
