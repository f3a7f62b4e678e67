#include "cli/bench/kernel_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "cli/bench/limits.h"
#include "engine/model/tensor_list.h"
#include "weft/time.h"

namespace weft::cli {
namespace {

constexpr Bytes most_copies_bytes = Bytes{256} << 20;  // past every cache
constexpr Duration least_time = std::chrono::milliseconds(20);

// Device memory that goes with its scope.
class Memory {
 public:
  static Result<Memory> allocate(Device& device, Bytes bytes) {
    WEFT_ASSIGN(buffer, device.allocate(bytes));
    return Memory(device, buffer);
  }
  static Result<Memory> of(Device& device, const std::vector<std::int32_t>& values) {
    const Bytes bytes = values.size() * sizeof(std::int32_t);
    WEFT_ASSIGN(memory, allocate(device, bytes));
    WEFT_TRY(device.copy_in(memory.buffer(), values.data(), bytes, device.stream()));
    return memory;
  }
  Memory(Memory&& other) noexcept : device_(std::exchange(other.device_, nullptr)), buffer_(other.buffer_) {}
  Memory& operator=(Memory&&) = delete;
  ~Memory() {
    if (device_ != nullptr) device_->release(buffer_);
  }
  Buffer buffer() const noexcept { return buffer_; }

 private:
  Memory(Device& device, Buffer buffer) noexcept : device_(&device), buffer_(buffer) {}
  Device* device_;
  Buffer buffer_;
};

// How many layers' worth stand in for all of them.
std::int64_t copies_of(Bytes bytes, std::int64_t layers) {
  const auto enough = static_cast<std::int64_t>((most_copies_bytes + bytes - 1) / std::max<Bytes>(bytes, 1));
  return std::clamp<std::int64_t>(enough, 1, std::max<std::int64_t>(layers, 1));
}

struct Matrix {
  const char* name;
  std::int64_t outputs;
  std::int64_t columns;
  LinearArgs::Epilogue epilogue = LinearArgs::Epilogue::store;
  bool logits = false;  // f32, once a step
};

class Bench {
 public:
  explicit Bench(const KernelBenchSpec& spec) : spec_(spec) {}

  Result<std::vector<KernelFigure>> run() {
    for (const Matrix& matrix : matrices())
      WEFT_TRY_CONTEXT(bench_matrix(matrix), std::string("linear ") + matrix.name);
    for (const std::int32_t batch : spec_.batches)
      WEFT_TRY_CONTEXT(bench_attention("decode", batch, 1, spec_.context), "attention decode");
    WEFT_TRY_CONTEXT(bench_attention("prefill", 1, spec_.prompt_tokens, spec_.prompt_tokens), "attention prefill");
    return std::move(figures_);
  }

 private:
  std::vector<Matrix> matrices() const {
    const ModelShape& shape = spec_.model.shape;
    const std::int64_t hidden = shape.hidden;
    const std::int64_t query = spec_.rank.query_heads.count * shape.head_dim;
    const std::int64_t kv = spec_.rank.kv_heads.count * shape.head_dim;
    const std::int64_t mlp = engine::has_experts(spec_.model, 0)
                                 ? spec_.rank.intermediate.count
                                 : spec_.rank.share_of(engine::dense_columns(spec_.model)).count;
    using Epilogue = LinearArgs::Epilogue;
    return {{.name = "qkv", .outputs = query + 2 * kv, .columns = hidden},
            {.name = "output", .outputs = hidden, .columns = query},
            {.name = "gate_up", .outputs = 2 * mlp, .columns = hidden, .epilogue = Epilogue::gate},
            {.name = "down", .outputs = hidden, .columns = mlp},
            {.name = "head", .outputs = spec_.rank.vocabulary.count, .columns = hidden, .logits = true}};
  }

  // All batches over the same weights.
  Status bench_matrix(const Matrix& matrix) {
    const Bytes bytes = static_cast<Bytes>(matrix.outputs * matrix.columns) * size_of(spec_.type);
    const std::int64_t copies = matrix.logits ? 1 : copies_of(bytes, spec_.model.shape.layers);
    std::vector<std::unique_ptr<Weight>> weights;
    {
      const std::vector<std::byte> zeros(bytes);  // the work is the same
      const WeightPart part{
          .data = zeros.data(), .type = spec_.type, .rows = matrix.outputs, .columns = matrix.columns};
      for (std::int64_t i = 0; i < copies; ++i) {
        WEFT_ASSIGN(weight, spec_.device.load_weight({&part, 1}, {.name = matrix.name, .compute = spec_.type}));
        weights.push_back(std::move(weight));
      }
    }
    std::vector<std::int32_t> batches = spec_.batches;
    if (!matrix.logits) batches.push_back(spec_.prompt_tokens);  // a prefill wants one row's logits
    for (const std::int32_t rows : batches)
      WEFT_TRY(bench_rows(matrix, rows, static_cast<double>(bytes), weights));
    return {};
  }

  Status bench_rows(const Matrix& matrix, std::int64_t rows, double bytes,
                    const std::vector<std::unique_ptr<Weight>>& weights) {
    const DType out_type = matrix.logits ? DType::f32 : spec_.type;
    const std::int64_t out_columns =
        matrix.epilogue == LinearArgs::Epilogue::gate ? matrix.outputs / 2 : matrix.outputs;
    WEFT_ASSIGN(in, Memory::allocate(spec_.device, static_cast<Bytes>(rows * matrix.columns) * size_of(spec_.type)));
    WEFT_ASSIGN(out, Memory::allocate(spec_.device, static_cast<Bytes>(rows * out_columns) * size_of(out_type)));
    LinearArgs args{.in = {.buffer = in.buffer(), .type = spec_.type, .rows = rows, .columns = matrix.columns},
                    .out = {.buffer = out.buffer(), .type = out_type, .rows = rows, .columns = out_columns},
                    .epilogue = matrix.epilogue,
                    .activation = spec_.model.decoder.activation};
    const auto work = [&](std::size_t call) {
      args.weight = weights[call % weights.size()].get();
      return spec_.device.linear(args, spec_.device.stream());
    };
    return measure({.kind = "linear",
                    .name = matrix.name,
                    .rows = rows,
                    .outputs = matrix.outputs,
                    .columns = matrix.columns,
                    .bytes = bytes,
                    .operations = 2.0 * static_cast<double>(rows) * static_cast<double>(matrix.outputs) *
                                  static_cast<double>(matrix.columns)},
                   weights.size(), work);
  }

  // `sequences` of `rows` new tokens each, the last of which sees `context`.
  Status bench_attention(const char* name, std::int32_t sequences, std::int32_t rows, std::int32_t context) {
    const ModelShape& shape = spec_.model.shape;
    Device& device = spec_.device;
    const auto query_heads = static_cast<std::int32_t>(spec_.rank.query_heads.count);
    const auto kv_heads = static_cast<std::int32_t>(spec_.rank.kv_heads.count);
    const std::int32_t tokens = sequences * rows;
    const std::int32_t blocks = (context + spec_.block_size - 1) / spec_.block_size;
    const double bytes = static_cast<double>(kv_bytes_per_token(1, kv_heads, shape.head_dim, spec_.type)) *
                         static_cast<double>(context) * sequences;
    const std::int64_t layers = copies_of(static_cast<Bytes>(bytes), shape.layers);
    WEFT_ASSIGN(cache, device.create_kv_cache({.layers = static_cast<std::int32_t>(layers),
                                               .kv_heads = kv_heads,
                                               .head_dim = shape.head_dim,
                                               .block_size = spec_.block_size,
                                               .type = spec_.type},
                                              sequences * blocks));
    std::vector<std::int32_t> positions, slots, starts{0}, lengths, table;
    for (std::int32_t sequence = 0; sequence < sequences; ++sequence) {
      for (std::int32_t row = 0; row < rows; ++row) {
        positions.push_back(context - rows + row);
        slots.push_back(sequence * blocks * spec_.block_size + context - rows + row);
      }
      starts.push_back((sequence + 1) * rows);
      lengths.push_back(context);
      for (std::int32_t block = 0; block < blocks; ++block)
        table.push_back(sequence * blocks + block);
    }
    WEFT_ASSIGN(position_memory, Memory::of(device, positions));
    WEFT_ASSIGN(slot_memory, Memory::of(device, slots));
    WEFT_ASSIGN(start_memory, Memory::of(device, starts));
    WEFT_ASSIGN(length_memory, Memory::of(device, lengths));
    WEFT_ASSIGN(table_memory, Memory::of(device, table));
    const std::int64_t width = std::int64_t{query_heads + 2 * kv_heads} * shape.head_dim;
    const std::int64_t out_width = std::int64_t{query_heads} * shape.head_dim;
    WEFT_ASSIGN(qkv, Memory::allocate(device, static_cast<Bytes>(tokens * width) * size_of(spec_.type)));
    WEFT_ASSIGN(out, Memory::allocate(device, static_cast<Bytes>(tokens * out_width) * size_of(spec_.type)));
    AttentionArgs args{.qkv = {.buffer = qkv.buffer(), .type = spec_.type, .rows = tokens, .columns = width},
                       .out = {.buffer = out.buffer(), .type = spec_.type, .rows = tokens, .columns = out_width},
                       .query_heads = query_heads,
                       .kv_heads = kv_heads,
                       .head_dim = shape.head_dim,
                       .scale = static_cast<float>(spec_.model.decoder.attention_scale),
                       .batch = {.tokens = tokens,
                                 .sequences = sequences,
                                 .max_blocks = blocks,
                                 .positions = position_memory.buffer(),
                                 .slots = slot_memory.buffer(),
                                 .row_starts = start_memory.buffer(),
                                 .context_lengths = length_memory.buffer(),
                                 .block_tables = table_memory.buffer()},
                       .cache = cache.get()};
    const auto work = [&](std::size_t call) {
      args.layer = static_cast<std::int32_t>(call % static_cast<std::size_t>(layers));
      return device.attention(args, device.stream());
    };
    // Each row meets those before it and itself, with two products of head_dim a query head.
    const double pairs = static_cast<double>(tokens) * (context - (rows - 1) / 2.0);
    return measure({.kind = "attention",
                    .name = name,
                    .rows = tokens,
                    .outputs = out_width,
                    .columns = context,
                    .bytes = bytes,
                    .operations = 4.0 * pairs * static_cast<double>(out_width)},
                   static_cast<std::size_t>(layers), work);
  }

  // Whole rounds over the copies, as many as take long enough to be timed.
  template <class Work>
  Status measure(KernelFigure figure, std::size_t copies, Work&& work) {
    const auto time_of = [&](std::size_t rounds) -> Result<double> {
      const Time start = Clock::now();
      for (std::size_t call = 0; call < rounds * copies; ++call)
        WEFT_TRY(work(call));
      WEFT_TRY(spec_.device.synchronize(spec_.device.stream()));
      return std::chrono::duration<double>(Clock::now() - start).count();
    };
    std::size_t rounds = 1;
    WEFT_TRY(time_of(1));  // first touch
    WEFT_ASSIGN(once, time_of(1));
    const double wanted = std::chrono::duration<double>(least_time).count();
    if (once < wanted) rounds = static_cast<std::size_t>(wanted / std::max(once, 1e-9)) + 1;
    Limits limits(spec_.threads, figure.bytes * static_cast<double>(copies));
    std::vector<double> seconds;
    for (int i = 0; i < spec_.repeat; ++i) {
      if (spec_.stop && spec_.stop()) return fail(ErrorCode::cancelled, "interrupted");
      limits.measure();
      WEFT_ASSIGN(taken, time_of(rounds));
      seconds.push_back(taken / static_cast<double>(rounds * copies));
    }
    figure.seconds = spread_of(std::move(seconds));
    figure.read_limit = limits.read();
    figure.operation_limit = limits.operations();
    figures_.push_back(std::move(figure));
    return {};
  }

  const KernelBenchSpec& spec_;
  std::vector<KernelFigure> figures_;
};

}  // namespace

Result<std::vector<KernelFigure>> bench_kernels(const KernelBenchSpec& spec) { return Bench(spec).run(); }

nlohmann::ordered_json to_json(const KernelFigure& figure) {
  return {{"kind", figure.kind},
          {"name", figure.name},
          {"rows", figure.rows},
          {"outputs", figure.outputs},
          {"columns", figure.columns},
          {"seconds", to_json(figure.seconds)},
          {"bytes", figure.bytes},
          {"operations", figure.operations},
          {"read_limit_bytes_per_second", to_json(figure.read_limit)},
          {"multiply_add_limit_flops_per_second", to_json(figure.operation_limit)},
          {"share_of_reads", figure.share_of_reads()},
          {"share_of_multiply_adds", figure.share_of_operations()},
          {"limit", figure.is_bound_by_reads() ? "reads" : "multiply_adds"},
          {"share_of_limit", std::max(figure.share_of_reads(), figure.share_of_operations())}};
}

std::string kernel_table(const std::vector<KernelFigure>& figures) {
  std::string text = fmt::format("{:<30} {:>5} {:>10} {:>16} {:>8} {:>8}  {}\n", "", "rows", "us", "least to most",
                                 "GB/s", "GFLOP/s", "share of the limit");
  for (const KernelFigure& figure : figures) {
    const double share = std::max(figure.share_of_reads(), figure.share_of_operations());
    text += fmt::format("{:<30} {:>5} {:>10} {:>16} {:>8} {:>8}  {} of {}\n",
                        fmt::format("{} {} {} x {}", figure.kind, figure.name, figure.outputs, figure.columns),
                        figure.rows, number_text(figure.seconds.median * 1e6),
                        number_text(figure.seconds.min * 1e6) + " to " + number_text(figure.seconds.max * 1e6),
                        number_text(quotient(figure.bytes, figure.seconds.median) * 1e-9),
                        number_text(quotient(figure.operations, figure.seconds.median) * 1e-9), share_text(share),
                        figure.is_bound_by_reads() ? "reads" : "multiply-adds");
  }
  return text;
}

}  // namespace weft::cli
