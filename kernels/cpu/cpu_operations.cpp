#include "kernels/cpu/cpu_operations.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

namespace weft {
namespace {

// Elements below which waking the other threads costs more than they save.
constexpr std::int64_t worth_sharing = 16384;
// Rows of a product that one part takes: their sums and inputs stay in the second cache.
constexpr std::int64_t row_block = 192;
// f32 between the rows of scratch, so that equal columns of many rows do not fall into the same set of the cache.
constexpr std::int64_t row_gap = 16;

void* row_of(const TensorView& view, std::int64_t row) {
  return view.buffer.as<std::byte>() + row * view.stride() * static_cast<std::int64_t>(size_of(view.type));
}

}  // namespace

Result<float*> CpuOperations::scratch(std::int64_t elements) {
  const Bytes bytes = static_cast<Bytes>(elements) * sizeof(float);
  if (scratch_.size() < bytes) {
    WEFT_ASSIGN(memory, HostMemory::allocate(bytes));
    scratch_ = std::move(memory);
  }
  return scratch_.as<float>();
}

template <class Function>
void CpuOperations::for_each_row(std::int64_t rows, std::int64_t elements, Function&& function) {
  const std::int64_t threads = pool_->threads();
  if (rows * elements < worth_sharing || threads == 1) {
    for (std::int64_t row = 0; row < rows; ++row)
      function(row, 0);
    return;
  }
  const std::int64_t parts = std::min(rows, threads * 4);
  pool_->run(parts, [&](std::int64_t part, int thread) {
    for (std::int64_t row = rows * part / parts; row < rows * (part + 1) / parts; ++row)
      function(row, thread);
  });
}

Status CpuOperations::embed(const EmbedArgs& args, const CpuWeight& table) {
  const std::int64_t width = table.columns();
  WEFT_ASSIGN(space, scratch(width * pool_->threads()));
  const auto* ids = args.ids.as<const std::int32_t>();
  for_each_row(args.out.rows, width, [&](std::int64_t row, int thread) {
    const std::int64_t index = std::int64_t{ids[row]} - args.first_row;
    float* values = space + thread * width;
    if (index < 0 || index >= table.rows()) {
      std::fill_n(values, width, 0.0f);
    } else {
      rows_.widen(table.row(index), table.type(), values, width);
      if (args.scale != 1) rows_.scale(values, args.scale, width);
    }
    rows_.narrow(values, row_of(args.out, row), args.out.type, width);
  });
  return {};
}

Status CpuOperations::rms_norm(const NormArgs& args, const CpuWeight& weight) {
  const std::int64_t width = weight.columns();
  WEFT_ASSIGN(space, scratch(2 * width * pool_->threads()));
  for_each_row(args.in.rows, width, [&](std::int64_t row, int thread) {
    float* values = space + 2 * width * thread;
    rows_.widen(row_of(args.in, row), args.in.type, values, width);
    if (args.residual.buffer.data != nullptr) {
      float* in = std::exchange(values, values + width);
      rows_.add(in, row_of(args.residual, row), args.residual.type, values, width);
    }
    rows_.normalise(values, weight.f32_row(0), args.weight_offset, args.epsilon, width);
    rows_.narrow(values, row_of(args.out, row), args.out.type, width);
  });
  return {};
}

const float* CpuOperations::activations(const TensorView& in, float* to, std::int64_t& stride) {
  if (in.type == DType::f32 && in.rows <= 2) {
    stride = in.stride();
    return in.buffer.as<const float>();
  }
  for_each_row(in.rows, in.columns,
               [&](std::int64_t row, int) { rows_.widen(row_of(in, row), in.type, to + row * stride, in.columns); });
  return to;
}

// Parts are blocks of rows times groups of panels; a thread's scratch is [sums][widened].
void CpuOperations::multiply(const LinearPart& all, const CpuWeight& weight, float* thread_scratch) {
  const std::int64_t threads = pool_->threads();
  const std::int64_t panels = weight.panels();
  const bool shares = threads > 1 && all.rows * weight.rows() * weight.columns() >= worth_sharing * 4;
  // One row: panels side by side, as long as every thread has some. More rows read one panel at a time.
  std::int64_t group = all.rows <= 2 ? panel_group : 1;
  while (shares && group > 1 && panels < group * threads)
    group /= 2;
  const std::int64_t groups = (panels + group - 1) / group;
  const std::int64_t blocks = (all.rows + row_block - 1) / row_block;
  const std::int64_t scratch_size = linear_sums(std::min(all.rows, row_block)) + sum_block * panel_width;
  const auto out_size = static_cast<std::int64_t>(size_of(all.out_type));
  const auto run = [&](std::int64_t index, int thread) {
    const std::int64_t row = index / groups * row_block;
    const std::int64_t panel = index % groups * group;
    const std::int64_t column = panel * panel_width;
    LinearPart part = all;
    part.in += row * all.in_stride;
    part.rows = std::min(row_block, all.rows - row);
    part.panels = weight.panel(panel);
    part.panel_count = std::min(group, panels - panel);
    part.bias = all.bias == nullptr ? nullptr : all.bias + column;
    part.out = static_cast<std::byte*>(all.out) + (row * all.out_stride + column) * out_size;
    part.out_columns = std::min(part.panel_count * panel_width, weight.rows() - column);
    part.widened = thread_scratch + thread * scratch_size;
    part.sums = part.widened + sum_block * panel_width;
    linear_.linear(part);
  };
  if (shares) {
    pool_->run(blocks * groups, run);
  } else {
    for (std::int64_t index = 0; index < blocks * groups; ++index)
      run(index, 0);
  }
}

Status CpuOperations::linear(const LinearArgs& args, const CpuWeight& weight) {
  const std::int64_t rows = args.in.rows;
  if (rows == 0) return {};
  const bool gate = args.epilogue == LinearArgs::Epilogue::gate;
  const std::int64_t products = gate ? rows * weight.rows() : 0;
  std::int64_t in_stride = (weight.columns() + row_gap - 1) / row_gap * row_gap + row_gap;
  const std::int64_t thread_size = linear_sums(std::min(rows, row_block)) + sum_block * panel_width;
  WEFT_ASSIGN(space, scratch(rows * in_stride + products + thread_size * pool_->threads()));
  float* product = space + rows * in_stride;
  const float* in = activations(args.in, space, in_stride);
  const LinearPart all{.in = in,
                       .in_stride = in_stride,
                       .rows = rows,
                       .columns = weight.columns(),
                       .type = weight.type(),
                       .bias = weight.bias(),
                       .out = gate ? product : args.out.buffer.data,
                       .out_type = gate ? DType::f32 : args.out.type,
                       .out_stride = gate ? weight.rows() : args.out.stride(),
                       .add = args.epilogue == LinearArgs::Epilogue::add};
  multiply(all, weight, product + products);
  if (gate)
    for_each_row(rows, weight.rows(), [&](std::int64_t row, int) {
      linear_.gate(args.activation, product + row * weight.rows(), weight.rows() / 2, row_of(args.out, row),
                   args.out.type);
    });
  return {};
}

void CpuOperations::rope_row(const RopeArgs& args, const RopeTables& tables, CpuKvCache& cache, std::int32_t row,
                             float* heads) {
  const std::int64_t head_dim = args.head_dim;
  const std::int64_t turned = (std::int64_t{args.query_heads} + args.kv_heads) * head_dim;
  const std::int32_t position = args.batch.positions.as<const std::int32_t>()[row];
  void* data = row_of(args.qkv, row);
  rows_.widen(data, args.qkv.type, heads, args.qkv.columns);
  for (std::int32_t index = 0; index < args.query_heads + args.kv_heads; ++index) {
    float* head = heads + index * head_dim;
    const CpuWeight* norm = index < args.query_heads ? tables.query_norm : tables.key_norm;
    if (norm != nullptr) rows_.normalise(head, norm->f32_row(0), args.weight_offset, args.epsilon, head_dim);
    if (tables.table == nullptr) continue;
    const float* cos = tables.table->f32_row(position);
    rows_.rotate(head, cos, cos + args.rotary_dim / 2, args.rotary_dim / 2);
  }
  // The cache holds what qkv holds afterwards.
  rows_.narrow(heads, data, args.qkv.type, turned);
  rows_.widen(data, args.qkv.type, heads, turned);
  const float* keys = heads + args.query_heads * head_dim;
  const float* values = keys + args.kv_heads * head_dim;
  const std::int32_t slot = args.batch.slots.as<const std::int32_t>()[row];
  for (std::int32_t head = 0; head < args.kv_heads; ++head)
    cache.append(args.layer, slot, head, keys + head * head_dim, values + head * head_dim);
}

Status CpuOperations::rope_and_append(const RopeArgs& args, const RopeTables& tables, CpuKvCache& cache) {
  WEFT_ASSIGN(space, scratch(args.qkv.columns * pool_->threads()));
  for_each_row(args.batch.tokens, args.qkv.columns, [&](std::int64_t row, int thread) {
    rope_row(args, tables, cache, static_cast<std::int32_t>(row), space + thread * args.qkv.columns);
  });
  return {};
}

Status CpuOperations::attention(const AttentionArgs& args, const CpuKvCache& cache) {
  if (args.batch.tokens == 0) return {};
  // Enough rows a part for the kernel's four queries, few enough that a long prompt makes many parts.
  const std::int32_t chunk = std::max(1, 16 / (args.query_heads / args.kv_heads));
  const auto* starts = args.batch.row_starts.as<const std::int32_t>();
  const auto* lengths = args.batch.context_lengths.as<const std::int32_t>();
  std::vector<AttentionPart> parts;
  std::int64_t context = 0;
  std::int64_t seen = 0;
  for (std::int32_t sequence = 0; sequence < args.batch.sequences; ++sequence) {
    const std::int32_t end = starts[sequence + 1];
    if (starts[sequence] == end) continue;
    context = std::max<std::int64_t>(context, lengths[sequence]);
    seen += std::int64_t{end - starts[sequence]} * lengths[sequence] * args.query_heads * args.head_dim;
    for (std::int32_t head = 0; head < args.kv_heads; ++head)
      for (std::int32_t row = starts[sequence]; row < end; row += chunk)
        parts.push_back({.args = &args,
                         .tiles = &cache.tiles(),
                         .layer = cache.layer(args.layer),
                         .type = cache.shape().spec.type,
                         .sequence = sequence,
                         .kv_head = head,
                         .first_row = row,
                         .last_row = std::min(end, row + chunk)});
  }
  const std::int64_t thread_size = attention_scratch(args.head_dim, context);
  WEFT_ASSIGN(space, scratch(thread_size * pool_->threads()));
  const auto run = [&](std::int64_t index, int thread) {
    AttentionPart& part = parts[static_cast<std::size_t>(index)];
    part.context = context;
    part.scratch = space + thread * thread_size;
    attention_.attend(part);
  };
  const auto count = static_cast<std::int64_t>(parts.size());
  if (seen >= worth_sharing) {
    pool_->run(count, run);
  } else {
    for (std::int64_t index = 0; index < count; ++index)
      run(index, 0);
  }
  return {};
}

void CpuOperations::gather_rows(const TensorView& in, const Buffer& rows, const TensorView& out) {
  const auto* indices = rows.as<const std::int32_t>();
  const auto bytes = static_cast<std::size_t>(out.columns) * size_of(out.type);
  for_each_row(out.rows, out.columns, [&](std::int64_t row, int) {
    if (bytes != 0) std::memmove(row_of(out, row), row_of(in, indices[row]), bytes);
  });
}

Status CpuOperations::argmax(const TensorView& logits, const Buffer& ids, const Buffer& values) {
  const bool widens = logits.type != DType::f32;
  WEFT_ASSIGN(space, scratch(widens ? logits.columns * pool_->threads() : 0));
  for_each_row(logits.rows, logits.columns, [&](std::int64_t row, int thread) {
    const auto* data = static_cast<const float*>(row_of(logits, row));
    if (widens) {
      float* wide = space + thread * logits.columns;
      rows_.widen(row_of(logits, row), logits.type, wide, logits.columns);
      data = wide;
    }
    const std::int32_t index = rows_.argmax(data, logits.columns);
    ids.as<std::int32_t>()[row] = index;
    if (values.data != nullptr) values.as<float>()[row] = data[index];
  });
  return {};
}

}  // namespace weft
