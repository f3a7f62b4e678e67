// Time of one operation as a rank sees it, over loopback: the other ranks are threads of this process that do the same
// as fast as they can.
//
//   build/release/bench/bench_collectives [--benchmark_filter=all_reduce/2]
#include <benchmark/benchmark.h>

#include <functional>
#include <string>
#include <thread>
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

void measure(benchmark::State& state, const std::string& backend, const Operation& operation) {
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
  run(0, [&](Group& group, Buffer data) {
    for (auto _ : state)
      if (const Status done = operation(group, data); !done) return state.SkipWithError(done.error().message.c_str());
  });
  for (std::thread& other : others)
    other.join();
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
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

BENCHMARK_CAPTURE(measure, gloo_all_reduce, "gloo", all_reduce)->Apply(more_ranks);
BENCHMARK_CAPTURE(measure, gloo_broadcast_and_back, "gloo", broadcast_and_back)->Apply(sizes);
BENCHMARK_CAPTURE(measure, gloo_send_and_back, "gloo", send_and_back)->Apply(sizes);

}  // namespace

BENCHMARK_MAIN();
