// bench_kernels [--benchmark_filter=...]: the cpu device's products and attention.
//
// Few rows are bound by memory: GB/s counts the weights' bytes (keys' and values'), `limit` is what plain loads reach on as
// many bytes with as many threads, `share` their quotient. Large batches are bound by arithmetic: GFLOP/s, and the limit is
// that of multiply-adds in registers.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/cpu/cpu_device.h"
#include "kernels/cpu/limits.h"
#include "weft/time.h"

namespace weft {
namespace {

// Runs `work` and reports `amount` (bytes or operations, in 1e9 a second) of it beside `limit`, which is measured next to
// it: other processes slow both.
template <class Work>
void measure(benchmark::State& state, const char* unit, double amount, double limit, Work&& work) {
  const Time start = Clock::now();
  for (auto _ : state)
    if (const Status done = work(); !done) return state.SkipWithError(done.error().message.c_str());
  const std::chrono::duration<double> taken = Clock::now() - start;
  const double rate = static_cast<double>(state.iterations()) * amount / taken.count();
  state.counters[unit] = rate / 1e9;
  state.counters["limit"] = limit / 1e9;
  state.counters["share"] = rate / limit;
}

struct LinearShape {
  std::int64_t outputs, columns;
};

void run_linear(benchmark::State& state, DType type, LinearShape shape, std::int64_t batch, int threads) {
  auto device = make_cpu_device({.threads = threads});
  if (!device) return state.SkipWithError(device.error().message.c_str());
  const auto elements = static_cast<std::size_t>(shape.outputs * shape.columns);
  const std::vector<std::byte> data(elements * size_of(type));  // zeros: the work is the same
  const WeightPart part{.data = data.data(), .type = type, .rows = shape.outputs, .columns = shape.columns};
  const auto weight = (*device)->load_weight({&part, 1}, {.name = "bench", .compute = type});
  const auto in = (*device)->allocate(static_cast<Bytes>(batch * shape.columns) * size_of(type));
  const auto out = (*device)->allocate(static_cast<Bytes>(batch * shape.outputs) * size_of(type));
  if (!weight || !in || !out) return state.SkipWithError("no memory");
  const LinearArgs args{.weight = weight->get(),
                        .in = {.buffer = *in, .type = type, .rows = batch, .columns = shape.columns},
                        .out = {.buffer = *out, .type = type, .rows = batch, .columns = shape.outputs}};
  const auto work = [&] { return (*device)->linear(args, {}); };
  if (const Status done = work(); !done) return state.SkipWithError(done.error().message.c_str());  // first touch
  const auto bytes = static_cast<double>(data.size());
  if (batch <= 32)
    measure(state, "GB/s", bytes, read_bandwidth(data.size(), threads), work);
  else
    measure(state, "GFLOP/s", 2.0 * static_cast<double>(elements) * static_cast<double>(batch),
            arithmetic_limit(threads), work);
}

// `rows` new tokens of one sequence after `cached` others, 8 query heads over 4 KV heads of 64.
void run_attention(benchmark::State& state, DType type, std::int32_t cached, std::int32_t rows, int threads) {
  constexpr std::int32_t query_heads = 8, kv_heads = 4, head_dim = 64, block_size = 16;
  constexpr std::int64_t width = (query_heads + 2 * kv_heads) * head_dim;
  auto device = make_cpu_device({.threads = threads});
  if (!device) return state.SkipWithError(device.error().message.c_str());
  const std::int32_t context = cached + rows;
  const std::int32_t blocks = (context + block_size - 1) / block_size;
  const KvSpec spec{.layers = 1, .kv_heads = kv_heads, .head_dim = head_dim, .block_size = block_size, .type = type};
  const auto cache = (*device)->create_kv_cache(spec, blocks);
  const auto qkv = (*device)->allocate(static_cast<Bytes>(rows * width) * size_of(type));
  const auto out = (*device)->allocate(static_cast<Bytes>(rows * query_heads * head_dim) * size_of(type));
  if (!cache || !qkv || !out) return state.SkipWithError("no memory");
  std::vector<std::int32_t> positions, starts{0, rows}, lengths{context}, table;
  for (std::int32_t row = 0; row < rows; ++row)
    positions.push_back(cached + row);
  for (std::int32_t block = 0; block < blocks; ++block)
    table.push_back(block);
  const auto buffer = [](std::vector<std::int32_t>& from) {
    return Buffer{.data = from.data(), .size = from.size() * sizeof(std::int32_t)};
  };
  const AttentionArgs args{.qkv = {.buffer = *qkv, .type = type, .rows = rows, .columns = width},
                           .out = {.buffer = *out, .type = type, .rows = rows, .columns = query_heads * head_dim},
                           .query_heads = query_heads,
                           .kv_heads = kv_heads,
                           .head_dim = head_dim,
                           .batch = {.tokens = rows,
                                     .sequences = 1,
                                     .max_blocks = blocks,
                                     .positions = buffer(positions),
                                     .row_starts = buffer(starts),
                                     .context_lengths = buffer(lengths),
                                     .block_tables = buffer(table)},
                           .cache = cache->get()};
  const auto work = [&] { return (*device)->attention(args, {}); };
  if (const Status done = work(); !done) return state.SkipWithError(done.error().message.c_str());  // first touch
  if (rows == 1) {
    const Bytes bytes = (*cache)->bytes();
    measure(state, "GB/s", static_cast<double>(bytes), read_bandwidth(bytes, threads), work);
  } else {
    const double pairs = static_cast<double>(rows) * (cached + (rows + 1) / 2.0);
    measure(state, "GFLOP/s", 4.0 * pairs * query_heads * head_dim, arithmetic_limit(threads), work);
  }
}

void register_all() {
  const int processors = static_cast<int>(std::thread::hardware_concurrency());
  std::vector<int> thread_counts{1};
  if (processors > 1) thread_counts.push_back(processors);
  // One of a small model's, a layer of minimind2's, one past every cache.
  const LinearShape shapes[] = {{512, 256}, {3072, 512}, {16384, 8192}};
  for (const int threads : thread_counts)
    for (const DType type : {DType::f32, DType::bf16, DType::f16}) {
      for (const LinearShape shape : shapes)
        for (const std::int64_t batch : {1, 2, 4, 8, 16, 32, 512}) {
          if (shape.columns > 4096 && batch > 8) continue;  // seconds a round
          const auto name = fmt::format("linear/{}/{}x{}/batch:{}/threads:{}", to_string(type), shape.outputs,
                                        shape.columns, batch, threads);
          benchmark::RegisterBenchmark(name.c_str(),
                                       [=](benchmark::State& state) { run_linear(state, type, shape, batch, threads); })
              ->UseRealTime()
              ->Unit(benchmark::kMicrosecond);
        }
      for (const auto& [cached, rows] : {std::pair{1023, 1}, std::pair{0, 512}}) {
        const auto name =
            fmt::format("attention/{}/cached:{}/rows:{}/threads:{}", to_string(type), cached, rows, threads);
        benchmark::RegisterBenchmark(
            name.c_str(),
            [=, c = cached, r = rows](benchmark::State& state) { run_attention(state, type, c, r, threads); })
            ->UseRealTime()
            ->Unit(benchmark::kMicrosecond);
      }
    }
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  weft::register_all();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
