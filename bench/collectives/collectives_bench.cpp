// Time of one operation as a rank sees it, on one machine: the other ranks are threads of this process that do the same
// as fast as they can. Each operation is measured over gloo and then over shm, whose column "gloo_over_shm" says how many
// times longer gloo took.
//
//   build/release/bench/bench_collectives [--benchmark_filter=all_reduce/.*/ranks:2]
#include <benchmark/benchmark.h>
#include <sched.h>

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "core/plugin/plugin_host.h"
#include "core/store/local_store.h"
#include "core/store/store_host.h"
#include "tests/support/null_host.h"
#include "weft/communicator.h"

namespace {

using weft::Buffer;
using weft::Bytes;
using weft::Deadline;
using weft::Group;
using weft::Status;

// The plugin under test, by name on the search path.
struct Backend {
  explicit Backend(const std::string& name) {
    auto plugin = host.load({.kind = "communicator", .name = name});
    if (!plugin) return;
    const auto checked = weft::check_options((*plugin)->info.options, {}, "communicator.config", "bench");
    auto made = weft::create_plugin<weft::Communicator>(**plugin, checked.options, services);
    if (made) communicator = std::move(*made);
  }
  weft::PluginHost host{{.search_path = weft::SearchPath::standard({WEFT_BUILD_DIR "/lib/weft/plugins"})}};
  weft::test::NullHost services;
  weft::PluginHandle<weft::Communicator> communicator;
};

using Operation = std::function<Status(Group&, Buffer)>;

Status all_reduce(Group& group, Buffer data) {
  WEFT_ASSIGN(work, group.all_reduce(data, weft::DType::f32, weft::ReduceOp::sum, {}));
  return work.wait(Deadline::never());
}

// A root that waits for nobody would only measure itself, so the last rank answers.
Status broadcast_and_back(Group& group, Buffer data) {
  WEFT_ASSIGN(there, group.broadcast(data, weft::DType::u8, 0, {}));
  WEFT_TRY(there.wait(Deadline::never()));
  WEFT_ASSIGN(back, group.broadcast(data.slice(0, 8), weft::DType::u8, group.size() - 1, {}));
  return back.wait(Deadline::never());
}

Status send_and_back(Group& group, Buffer data) {
  const auto one_way = [&](bool outgoing) -> Status {
    const std::int32_t peer = 1 - group.rank();
    WEFT_ASSIGN(work, outgoing ? group.send(data, weft::DType::u8, peer, 0, {})
                               : group.recv(data, weft::DType::u8, peer, 0, {}));
    return work.wait(Deadline::never());
  };
  WEFT_TRY(one_way(group.rank() == 0));
  return one_way(group.rank() != 0);
}

// Seconds that an operation took over gloo: by name, ranks and bytes.
std::map<std::tuple<std::string, std::int64_t, std::int64_t>, double>& gloo_seconds() {
  static std::map<std::tuple<std::string, std::int64_t, std::int64_t>, double> seconds;
  return seconds;
}

// The calling thread, and those it makes, keep to the first two cores it may use.
void keep_to_two_cores() {
  cpu_set_t may, two;
  CPU_ZERO(&two);
  if (::sched_getaffinity(0, sizeof(may), &may) != 0) return;
  for (std::size_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&two) < 2; ++cpu)
    if (CPU_ISSET(cpu, &may)) CPU_SET(cpu, &two);
  ::sched_setaffinity(0, sizeof(two), &two);
}

struct Measured {
  const char* name;
  Operation operation;
  bool two_cores = false;
};

void measure_here(benchmark::State& state, const std::string& backend, const Measured& measured);

void measure(benchmark::State& state, const std::string& backend, const Measured& measured) {
  // In a thread of its own, so that two cores stay its own affair.
  std::thread([&] {
    if (measured.two_cores) keep_to_two_cores();
    measure_here(state, backend, measured);
  }).join();
}

void measure_here(benchmark::State& state, const std::string& backend, const Measured& measured) {
  const Operation& operation = measured.operation;
  Backend made(backend);
  if (!made.communicator) return state.SkipWithError("the plugin cannot be loaded");
  weft::store::StoreHost host;
  const auto ranks = static_cast<std::int32_t>(state.range(0));
  const auto bytes = static_cast<Bytes>(state.range(1));
  const auto run = [&](std::int32_t rank, const std::function<void(Group&, Buffer)>& body) {
    weft::store::LocalStore store(host);
    auto group = made.communicator->open({.id = "bench", .rank = rank, .size = ranks, .store = &store});
    if (!group) return;
    std::vector<float> data(bytes / sizeof(float), 1.0f);
    body(**group, {.data = data.data(), .size = bytes});
  };
  std::vector<std::thread> others;
  for (std::int32_t rank = 1; rank < ranks; ++rank)
    others.emplace_back(run, rank, [&](Group& group, Buffer data) {
      while (operation(group, data)) {  // until rank 0 leaves
      }
    });
  double seconds = 0;
  run(0, [&](Group& group, Buffer data) {
    const auto begin = std::chrono::steady_clock::now();
    for (auto _ : state)
      if (const Status done = operation(group, data); !done) return state.SkipWithError(done.error().message.c_str());
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() /
              static_cast<double>(state.iterations());
  });
  for (std::thread& other : others)
    other.join();
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
  double& gloo = gloo_seconds()[{measured.name, state.range(0), state.range(1)}];
  if (backend == "gloo")
    gloo = seconds;
  else if (gloo > 0)
    state.counters["gloo_over_shm"] = gloo / seconds;
}

void sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"ranks", "bytes"})->UseRealTime()->Unit(benchmark::kMicrosecond);
  for (const std::int64_t bytes : {64, 1024, 4096, 16 * 1024, 64 * 1024, 256 * 1024, 1 << 20, 4 << 20})
    benchmark->Args({2, bytes});
}

void more_ranks(benchmark::internal::Benchmark* benchmark) {
  sizes(benchmark);
  for (const std::int64_t bytes : {4096, 64 * 1024, 1 << 20})
    benchmark->Args({4, bytes});
}

// Twice as many ranks as cores: none may keep another from working.
void four_ranks(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"ranks", "bytes"})->UseRealTime()->Unit(benchmark::kMicrosecond);
  for (const std::int64_t bytes : {64, 4096, 64 * 1024, 1 << 20})
    benchmark->Args({4, bytes});
}

void measure_both(const Measured& measured, void (*arguments)(benchmark::internal::Benchmark*)) {
  for (const char* backend : {"gloo", "shm"})
    benchmark::RegisterBenchmark((std::string(measured.name) + "/" + backend).c_str(), [=](benchmark::State& state) {
      measure(state, backend, measured);
    })->Apply(arguments);
}

}  // namespace

int main(int argc, char** argv) {
  measure_both({"all_reduce", all_reduce}, more_ranks);
  measure_both({"all_reduce_on_two_cores", all_reduce, true}, four_ranks);
  measure_both({"broadcast_and_back", broadcast_and_back}, sizes);
  measure_both({"send_and_back", send_and_back}, sizes);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
