#include "tests/conformance/plugin/work.h"

#include <array>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <numeric>

#include "core/store/local_store.h"
#include "core/store/store_host.h"
#include "weft/communicator.h"
#include "weft/device.h"
#include "weft/executor.h"
#include "weft/load_balancer.h"

namespace weft::conformance {
namespace {

Duration patience(const Context& context) { return context.scaled(std::chrono::seconds(5)); }

class ExitSink final : public GangSink {
 public:
  void on_pending(const GangId&, std::string_view) override {}
  void on_placed(const GangId&, const std::vector<Placement>&) override {}
  void on_exit(const GangId&, std::int32_t, const Exit&) override {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }
  void wait(Duration limit) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, limit, [this] { return ended_; });
  }

 private:
  std::mutex mutex_;  // guards ended_
  std::condition_variable changed_;
  bool ended_ = false;
};

void run_a_rank(Context& context, Executor& executor) {
  (void)executor.inventory(Deadline::in(patience(context)));
  // Until the process ends: whether it is called after close() is another rule's matter.
  static std::deque<ExitSink> sinks;
  ExitSink& sink = sinks.emplace_back();
  GangSpec spec{.gang = {"manners", 1}, .ranks = {}};
  spec.ranks.push_back({.rank = 0, .argv = {context.program(), "@exit", "0"}, .env = {}, .node = "", .log_path = ""});
  if (executor.launch(spec, sink)) sink.wait(patience(context));
  (void)executor.stop(spec.gang, Duration::zero());
  (void)executor.close();
}

void reduce_alone(Context& context, Communicator& communicator) {
  store::StoreHost host;
  store::LocalStore store(host);
  const Deadline deadline = Deadline::in(patience(context));
  auto group = communicator.open({.id = "manners/1",
                                  .rank = 0,
                                  .size = 1,
                                  .members = {},
                                  .store = &store,
                                  .deadline = deadline,
                                  .operation_timeout = patience(context),
                                  .address = "127.0.0.1"});
  if (!group) return;
  std::array<float, 16> values{};
  const Buffer buffer{.data = values.data(), .size = sizeof values};
  const auto finish = [&](Result<Work> work) {
    if (work) (void)work->wait(deadline);
  };
  finish((*group)->all_reduce(buffer, DType::f32, ReduceOp::sum, {}));
  finish((*group)->broadcast(buffer, DType::f32, 0, {}));
  finish((*group)->barrier({}));
  (void)(*group)->close(deadline);
}

void serve_requests(LoadBalancer& balancer) {
  const Time now = Time{} + std::chrono::hours(24);
  std::array<ReplicaView, 2> rows{};
  for (ReplicaId id = 0; id < 2; ++id) {
    rows[static_cast<std::size_t>(id)] = {.id = id, .incarnation = 1, .eligible = true, .capacity = 64};
    balancer.observe({.kind = Event::Kind::joined, .replica = id, .incarnation = 1}, now);
  }
  for (RequestId id = 1; id <= 8; ++id) {
    const auto decision = balancer.pick({.id = id, .prompt_tokens = 100, .max_tokens = 100}, {.replicas = rows}, now);
    if (!decision) continue;
    for (const Event::Kind kind :
         {Event::Kind::dispatched, Event::Kind::first_token, Event::Kind::progress, Event::Kind::finished})
      balancer.observe({.kind = kind,
                        .replica = decision->replica,
                        .incarnation = 1,
                        .request = id,
                        .prompt_tokens = 100,
                        .max_tokens = 100,
                        .generated = 10},
                       now);
  }
  balancer.observe({.kind = Event::Kind::left, .replica = 1, .incarnation = 1}, now);
}

void compute(Device& device) {
  constexpr std::int64_t rows = 3;
  constexpr std::int64_t width = 64;
  std::array<float, width * width> matrix{};
  std::iota(matrix.begin(), matrix.end(), 0.0F);
  const WeightPart square{.data = matrix.data(), .type = DType::f32, .rows = width, .columns = width};
  const WeightPart row{.data = matrix.data(), .type = DType::f32, .rows = 1, .columns = width};
  const auto linear = device.load_weight({&square, 1}, {.name = "manners", .use = WeightUse::linear});
  const auto norm = device.load_weight({&row, 1}, {.name = "manners", .use = WeightUse::vector});
  const auto in = device.allocate(rows * width * sizeof(float));
  const auto out = device.allocate(rows * width * sizeof(float));
  if (!linear || !norm || !in || !out) return;
  const Stream stream = device.stream();
  const TensorView from{.buffer = *in, .type = DType::f32, .rows = rows, .columns = width};
  const TensorView to{.buffer = *out, .type = DType::f32, .rows = rows, .columns = width};
  (void)device.copy_in(*in, matrix.data(), rows * width * sizeof(float), stream);
  (void)device.rms_norm({.weight = norm->get(), .in = from, .out = from}, stream);
  (void)device.linear({.weight = linear->get(), .in = from, .out = to}, stream);
  (void)device.copy_out(matrix.data(), *out, rows * width * sizeof(float), stream);
  (void)device.synchronize(stream);
  device.release(*in);
  device.release(*out);
}

}  // namespace

void put_to_work(Context& context, std::string_view kind, void* object) {
  if (kind == Executor::plugin_kind) return run_a_rank(context, *static_cast<Executor*>(object));
  if (kind == Communicator::plugin_kind) return reduce_alone(context, *static_cast<Communicator*>(object));
  if (kind == LoadBalancer::plugin_kind) return serve_requests(*static_cast<LoadBalancer*>(object));
  compute(*static_cast<Device*>(object));
}

}  // namespace weft::conformance
