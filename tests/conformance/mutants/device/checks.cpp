#include "tests/conformance/mutants/device/checks.h"

#include <cmath>

#include "tests/conformance/mutants/switch.h"

namespace weft::mutant {
namespace {

constexpr std::int32_t most_heads = 1 << 20;  // so that products of two sizes and a row's bytes fit 64 bits

Status require(bool holds, const char* what) {
  if (holds) return {};
  return fail(ErrorCode::invalid_argument, what);
}

// Whether `count` elements of `size` bytes lie in the buffer; none need no buffer.
bool holds(const Buffer& buffer, std::int64_t count, std::size_t size) {
  return count == 0 || (count > 0 && buffer.data != nullptr && static_cast<Bytes>(count) <= buffer.size / size);
}

Status check_view(const TensorView& view, std::int64_t rows, std::int64_t columns, const char* what) {
  WEFT_TRY(require(is_float(view.type), what));
  WEFT_TRY(require(view.rows >= 0 && view.rows == rows && columns >= 0, what));
  WEFT_TRY(require(view.columns == columns || breaks("takes_any_width"), what));
  if (rows == 0) return {};
  const std::int64_t stride = breaks("takes_any_stride") ? columns : view.stride();
  WEFT_TRY(require(stride >= columns, what));
  const Bytes elements = view.buffer.size / size_of(view.type);
  const auto last = static_cast<std::int64_t>(elements) - columns;
  return require(view.buffer.data != nullptr && last >= 0 && (rows - 1 == 0 || stride <= last / (rows - 1)), what);
}

Status check_weight(const Weight* weight, WeightUse use, const char* what) {
  WEFT_TRY(require(weight != nullptr, what));
  return require(matrix_of(weight).use == use || breaks("takes_any_weight"), what);
}

Status check_positions(const PagedBatch& batch, std::int64_t below) {
  for (std::int32_t row = 0; row < batch.tokens; ++row)
    WEFT_TRY(require(index_at(batch.positions, row) >= 0 && index_at(batch.positions, row) < below, "a position"));
  return {};
}

Status check_heads(std::int32_t queries, std::int32_t kv, std::int32_t dim, const KvCache* cache, std::int32_t layer) {
  WEFT_TRY(require(cache != nullptr, "no cache"));
  WEFT_TRY(require(queries > 0 && kv > 0 && dim > 0, "heads must be there"));
  WEFT_TRY(require(queries < most_heads && kv < most_heads && dim < most_heads, "too many heads"));
  WEFT_TRY(require(queries % kv == 0, "query heads must be a multiple of KV heads"));
  const KvSpec& spec = static_cast<const Cache*>(cache)->spec;
  WEFT_TRY(require(spec.kv_heads == kv && spec.head_dim == dim, "heads that are not the cache's"));
  return require(layer >= 0 && layer < spec.layers, "a layer that the cache has not");
}

// One sequence of the batch: its rows, its context and the blocks that it lies in.
Status check_sequence(const PagedBatch& batch, std::int32_t sequence, const Cache& cache) {
  const std::int32_t first = index_at(batch.row_starts, sequence), end = index_at(batch.row_starts, sequence + 1);
  WEFT_TRY(require(first >= 0 && first <= end && end <= batch.tokens, "row_starts"));
  const std::int64_t context = index_at(batch.context_lengths, sequence);
  WEFT_TRY(require(context >= end - first, "a context shorter than its rows"));
  WEFT_TRY(require(context <= std::int64_t{batch.max_blocks} * cache.spec.block_size, "a context beyond its blocks"));
  for (std::int32_t row = first; row < end; ++row)
    WEFT_TRY(require(index_at(batch.positions, row) >= 0 && index_at(batch.positions, row) < context, "a position"));
  for (std::int64_t at = 0; at * cache.spec.block_size < context; ++at) {
    const std::int32_t block = index_at(batch.block_tables, std::int64_t{sequence} * batch.max_blocks + at);
    WEFT_TRY(require(block >= 0 && block < cache.block_count, "a block that the cache has not"));
  }
  return {};
}

}  // namespace

Status check_stream(Stream stream) {
  return require(stream.kind == Stream::Kind::host || breaks("takes_any_stream"), "a stream of another kind");
}

Status check_embed(const EmbedArgs& args) {
  WEFT_TRY(check_weight(args.table, WeightUse::embedding, "embed: no table"));
  WEFT_TRY(check_view(args.out, args.out.rows, args.table->columns(), "embed: out"));
  return require(holds(args.ids, args.out.rows, sizeof(std::int32_t)), "embed: ids");
}

Status check_norm(const NormArgs& args) {
  WEFT_TRY(check_weight(args.weight, WeightUse::vector, "rms_norm: no vector"));
  WEFT_TRY(require(args.epsilon >= 0 || breaks("takes_any_epsilon"), "rms_norm: epsilon"));
  WEFT_TRY(check_view(args.in, args.in.rows, args.weight->columns(), "rms_norm: in"));
  if (args.residual.buffer.data != nullptr)
    WEFT_TRY(check_view(args.residual, args.in.rows, args.weight->columns(), "rms_norm: residual"));
  return check_view(args.out, args.in.rows, args.weight->columns(), "rms_norm: out");
}

Status check_linear(const LinearArgs& args) {
  WEFT_TRY(check_weight(args.weight, WeightUse::linear, "linear: no linear weight"));
  const bool gate = args.epilogue == LinearArgs::Epilogue::gate;
  WEFT_TRY(require(!gate || args.weight->rows() % 2 == 0, "linear: a gate of an odd weight"));
  WEFT_TRY(check_view(args.in, args.in.rows, args.weight->columns(), "linear: in"));
  return check_view(args.out, args.in.rows, args.weight->rows() / (gate ? 2 : 1), "linear: out");
}

Status check_gather(const TensorView& in, Buffer rows, const TensorView& out) {
  WEFT_TRY(check_view(in, in.rows, in.columns, "gather_rows: in"));
  WEFT_TRY(check_view(out, out.rows, in.columns, "gather_rows: out"));
  WEFT_TRY(require(in.type == out.type, "gather_rows: types"));
  WEFT_TRY(require(holds(rows, out.rows, sizeof(std::int32_t)), "gather_rows: rows"));
  for (std::int64_t row = 0; row < out.rows; ++row) {
    const std::int32_t from = index_at(rows, row);
    WEFT_TRY(require((from >= 0 && from < in.rows) || breaks("gathers_from_anywhere"), "gather_rows: a row"));
  }
  return {};
}

Status check_argmax(const TensorView& logits, Buffer ids, Buffer values) {
  WEFT_TRY(check_view(logits, logits.rows, logits.columns, "argmax: logits"));
  WEFT_TRY(require(logits.columns > 0, "argmax: no columns"));
  WEFT_TRY(require(holds(ids, logits.rows, sizeof(std::int32_t)), "argmax: ids"));
  const bool none = values.data == nullptr && values.size == 0;
  return require(none || holds(values, logits.rows, sizeof(float)), "argmax: values");
}

Status check_rope(const RopeArgs& args) {
  WEFT_TRY(check_heads(args.query_heads, args.kv_heads, args.head_dim, args.cache, args.layer));
  const PagedBatch& batch = args.batch;
  WEFT_TRY(require(batch.tokens >= 0, "rope_and_append: tokens"));
  WEFT_TRY(check_view(args.qkv, batch.tokens, (args.query_heads + std::int64_t{2} * args.kv_heads) * args.head_dim,
                      "rope_and_append: qkv"));
  for (const Weight* norm : {args.query_norm, args.key_norm}) {
    if (norm == nullptr) continue;
    WEFT_TRY(check_weight(norm, WeightUse::vector, "rope_and_append: a norm"));
    WEFT_TRY(require(norm->columns() == args.head_dim, "rope_and_append: a norm's columns"));
  }
  WEFT_TRY(require(holds(batch.positions, batch.tokens, sizeof(std::int32_t)), "rope_and_append: positions"));
  WEFT_TRY(require(holds(batch.slots, batch.tokens, sizeof(std::int32_t)), "rope_and_append: slots"));
  const Cache& cache = *static_cast<const Cache*>(args.cache);
  for (std::int32_t row = 0; row < batch.tokens; ++row) {
    const std::int64_t slot = index_at(batch.slots, row);
    const bool inside = slot >= 0 && slot < std::int64_t{cache.block_count} * cache.spec.block_size;
    WEFT_TRY(require(inside || breaks("drops_wrong_slots"), "rope_and_append: a slot"));
  }
  if (args.table == nullptr) return {};
  WEFT_TRY(check_weight(args.table, WeightUse::table, "rope_and_append: no table"));
  WEFT_TRY(require(args.rotary_dim > 0 && args.rotary_dim % 2 == 0 && args.rotary_dim <= args.head_dim &&
                       args.table->columns() == args.rotary_dim,
                   "rope_and_append: rotary_dim"));
  return check_positions(batch, args.table->rows());
}

Status check_attention(const AttentionArgs& args) {
  WEFT_TRY(check_heads(args.query_heads, args.kv_heads, args.head_dim, args.cache, args.layer));
  const PagedBatch& batch = args.batch;
  WEFT_TRY(require(batch.tokens >= 0 && batch.sequences >= 0 && batch.max_blocks >= 0, "attention: batch"));
  WEFT_TRY(check_view(args.qkv, batch.tokens, (args.query_heads + std::int64_t{2} * args.kv_heads) * args.head_dim,
                      "attention: qkv"));
  WEFT_TRY(check_view(args.out, batch.tokens, std::int64_t{args.query_heads} * args.head_dim, "attention: out"));
  WEFT_TRY(require(args.window >= 0 || breaks("takes_negative_windows"), "attention: window"));
  WEFT_TRY(require(args.soft_cap >= 0 && std::isfinite(args.scale), "attention: soft cap or scale"));
  WEFT_TRY(require(holds(batch.positions, batch.tokens, sizeof(std::int32_t)), "attention: positions"));
  const std::int64_t starts = batch.tokens == 0 && batch.sequences == 0 ? 0 : std::int64_t{batch.sequences} + 1;
  WEFT_TRY(require(holds(batch.row_starts, starts, sizeof(std::int32_t)), "attention: row_starts"));
  WEFT_TRY(require(holds(batch.context_lengths, batch.sequences, sizeof(std::int32_t)), "attention: contexts"));
  WEFT_TRY(require(holds(batch.block_tables, std::int64_t{batch.sequences} * batch.max_blocks, sizeof(std::int32_t)),
                   "attention: block tables"));
  if (batch.tokens == 0 && batch.sequences == 0) return {};
  WEFT_TRY(require(index_at(batch.row_starts, 0) == 0 && index_at(batch.row_starts, batch.sequences) == batch.tokens,
                   "attention: row_starts"));
  for (std::int32_t sequence = 0; sequence < batch.sequences; ++sequence)
    WEFT_TRY(check_sequence(batch, sequence, *static_cast<const Cache*>(args.cache)));
  return {};
}

}  // namespace weft::mutant
