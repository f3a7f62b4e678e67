#include "tests/unit/cluster/fake_cluster.h"

#include "core/wire/convert.h"

namespace weft::test {

// ---- MockExecutor ----

MockExecutor::MockExecutor() : thread_([this] { run(); }) {}
MockExecutor::~MockExecutor() { (void)close(); }

void MockExecutor::run() {
  for (;;) {
    std::function<void()> task;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return closed_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

void MockExecutor::post_locked(std::function<void()> task) {
  tasks_.push_back(std::move(task));
  changed_.notify_all();
}

void MockExecutor::place_locked(const Gang& gang) {
  std::vector<Placement> placements;
  for (const RankSpec& rank : gang.spec.ranks)
    placements.push_back(
        {.rank = rank.rank, .node = "here", .address = "127.0.0.1", .pid = 1000 + rank.rank, .devices = {}});
  post_locked([sink = gang.sink, id = gang.spec.gang, placements] { sink->on_placed(id, placements); });
}

void MockExecutor::exit_locked(Gang& gang, std::int32_t rank, const Exit& exit) {
  if (!std::exchange(gang.living.at(rank), false)) return;
  post_locked([sink = gang.sink, id = gang.spec.gang, rank, exit] { sink->on_exit(id, rank, exit); });
}

Status MockExecutor::launch(const GangSpec& spec, GangSink& sink) {
  if (refuse) return fail(*refuse);
  const std::lock_guard lock(mutex_);
  Gang& gang = gangs_[spec.gang.id];
  gang = {.spec = spec, .sink = &sink, .living = {}};
  for (const RankSpec& rank : spec.ranks)
    gang.living[rank.rank] = true;
  if (place) place_locked(gang);
  changed_.notify_all();
  return {};
}

Status MockExecutor::stop(const GangId& gang, Duration grace) {
  const std::lock_guard lock(mutex_);
  stops_[gang.id].push_back(grace);
  const auto found = gangs_.find(gang.id);
  if (found == gangs_.end()) return fail(ErrorCode::not_found, "no gang " + gang.id);
  if (obey)
    for (const auto& [rank, living] : found->second.living)
      exit_locked(found->second, rank, exit_signal(grace == Duration::zero() ? 9 : 15));
  return {};
}

Status MockExecutor::close() {
  {
    const std::lock_guard lock(mutex_);
    for (auto& [id, gang] : gangs_)
      for (const auto& [rank, living] : gang.living)
        exit_locked(gang, rank, exit_signal(9));
    closed_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
  return {};
}

void MockExecutor::place_all() {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, gang] : gangs_)
    place_locked(gang);
}

void MockExecutor::exit(std::int32_t rank, const Exit& exit) {
  const std::lock_guard lock(mutex_);
  for (auto& [id, gang] : gangs_)
    if (gang.living.count(rank) > 0) exit_locked(gang, rank, exit);
}

bool MockExecutor::lives(std::int32_t rank) {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, gang] : gangs_)
    if (const auto found = gang.living.find(rank); found != gang.living.end()) return found->second;
  return false;
}

std::size_t MockExecutor::living() {
  const std::lock_guard lock(mutex_);
  std::size_t count = 0;
  for (const auto& [id, gang] : gangs_)
    for (const auto& [rank, living] : gang.living)
      count += living ? 1 : 0;
  return count;
}

std::vector<Duration> MockExecutor::stops(const std::string& gang) {
  const std::lock_guard lock(mutex_);
  return stops_[gang];
}

void MockExecutor::wait_launched(std::size_t gangs) {
  std::unique_lock lock(mutex_);
  EXPECT_TRUE(changed_.wait_until(lock, soon().at(), [&] { return gangs_.size() >= gangs; }));
}

GangSpec MockExecutor::spec(const std::string& gang) {
  const std::lock_guard lock(mutex_);
  return gangs_[gang].spec;
}

// ---- FakeWorker ----

Status FakeWorker::dial(const std::string& endpoint, const std::string& token, std::int64_t incarnation) {
  auto dialed = wire::Dialer::dial({.name = "worker",
                                    .endpoint = endpoint,
                                    .token = token,
                                    .role = wire::ROLE_WORKER,
                                    .rank = rank_,
                                    .incarnation = incarnation,
                                    .log = {}},
                                   *this, soon());
  if (!dialed) return fail(dialed.error());
  const std::lock_guard lock(mutex_);
  dialer_ = std::move(*dialed);
  return {};
}

Status FakeWorker::send(wire::Envelope envelope) {
  wire::Dialer* dialer = nullptr;
  {
    const std::lock_guard lock(mutex_);
    dialer = dialer_.get();
  }
  return dialer->send(std::move(envelope));
}

void FakeWorker::hang_up() {
  std::unique_ptr<wire::Dialer> dialer;
  {
    const std::lock_guard lock(mutex_);
    dialer.swap(dialer_);
  }
}

void FakeWorker::stay_on_stop() {
  const std::lock_guard lock(mutex_);
  ends_on_stop_ = false;
}

void FakeWorker::answer(std::function<wire::Settled(const wire::Settle&)> answer) {
  const std::lock_guard lock(mutex_);
  answer_ = std::move(answer);
}

void FakeWorker::hello(const std::string& build, const std::string& sha256) {
  wire::Envelope envelope;
  wire::Hello& hello = *envelope.mutable_hello();
  hello.set_rank(rank_);
  hello.set_host("here");
  hello.set_pid(1000 + rank_);
  hello.set_build(build);
  wire::PluginIdentity& plugin = *hello.add_plugins();
  plugin.set_kind("device");
  plugin.set_name("mock");
  plugin.set_version("1.1");
  plugin.set_sha256(sha256);
  EXPECT_TRUE(send(std::move(envelope)));
}

void FakeWorker::say(wire::PhaseKind kind) {
  wire::Envelope envelope;
  envelope.mutable_phase()->set_kind(kind);
  envelope.mutable_phase()->set_rank(rank_);
  envelope.mutable_phase()->set_weight_bytes(kind == wire::PHASE_LOADED ? 100 : 0);
  EXPECT_TRUE(send(std::move(envelope)));
}

void FakeWorker::say_ready(const std::string& config_hash) {
  wire::Envelope envelope;
  wire::Phase& phase = *envelope.mutable_phase();
  phase.set_kind(wire::PHASE_READY);
  phase.set_rank(rank_);
  phase.set_config_hash(config_hash);
  phase.set_weights_hash("weights");
  phase.set_kv_blocks(64);
  EXPECT_TRUE(send(std::move(envelope)));
}

void FakeWorker::beat(std::int64_t step, bool busy) {
  wire::Envelope envelope;
  envelope.mutable_heartbeat()->set_step(step);
  envelope.mutable_heartbeat()->set_busy(busy);
  EXPECT_TRUE(send(std::move(envelope)));
}

void FakeWorker::fail_with(const Error& error) {
  wire::Envelope envelope;
  *envelope.mutable_failure()->mutable_error() = wire::to_wire(error);
  EXPECT_TRUE(send(std::move(envelope)));
}

void FakeWorker::settled(const wire::Settled& settled) {
  wire::Envelope envelope;
  *envelope.mutable_settled() = settled;
  (void)send(std::move(envelope));  // the head may have gone
}

void FakeWorker::sync() {
  int before = 0;
  {
    const std::lock_guard lock(mutex_);
    before = replies_;
  }
  wire::Envelope envelope;
  envelope.mutable_store_request()->set_kind(wire::StoreRequest::LIST);
  envelope.mutable_store_request()->add_keys("none/");
  EXPECT_TRUE(send(std::move(envelope)));
  std::unique_lock lock(mutex_);
  EXPECT_TRUE(changed_.wait_until(lock, soon().at(), [&] { return replies_ > before; })) << "rank " << rank_;
}

wire::Assign FakeWorker::wait_assign() {
  std::unique_lock lock(mutex_);
  EXPECT_TRUE(changed_.wait_until(lock, soon().at(), [&] { return assign_.has_value(); })) << "rank " << rank_;
  return assign_.value_or(wire::Assign{});
}

Error FakeWorker::wait_down() {
  std::unique_lock lock(mutex_);
  EXPECT_TRUE(changed_.wait_until(lock, soon().at(), [&] { return down_.has_value(); })) << "rank " << rank_;
  return down_.value_or(Error{});
}

wire::Settle FakeWorker::wait_settle(std::size_t number) {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_until(lock, soon().at(), [&] { return settles_.size() >= number; })) {
    ADD_FAILURE() << "rank " << rank_ << " has not heard Settle " << number;
    return {};
  }
  return settles_[number - 1];
}

bool FakeWorker::heard_stop() {
  const std::lock_guard lock(mutex_);
  return stop_;
}

void FakeWorker::on_message(const wire::Envelope& envelope) {
  std::function<wire::Settled(const wire::Settle&)> answer;
  bool ends = false;
  {
    const std::lock_guard lock(mutex_);
    if (envelope.has_assign()) assign_ = envelope.assign();
    if (envelope.has_settle()) settles_.push_back(envelope.settle());
    if (envelope.has_settle()) answer = answer_;
    if (envelope.has_stop()) stop_ = true;
    if (envelope.has_store_reply()) ++replies_;
    ends = envelope.has_stop() && ends_on_stop_;
    changed_.notify_all();
  }
  if (ends) executor_.exit(rank_, exit_code(0));
  if (answer) settled(answer(envelope.settle()));
}

void FakeWorker::on_down(const Error& why) {
  const std::lock_guard lock(mutex_);
  down_ = why;
  changed_.notify_all();
}

// ---- Events ----

void Events::on_ready(ReplicaId replica, std::int64_t incarnation) {
  EXPECT_EQ(incarnation, 1);
  const std::lock_guard lock(mutex_);
  ready_.push_back(replica);
  changed_.notify_all();
}

void Events::on_down(ReplicaId replica, std::int64_t incarnation, const Error& why) {
  EXPECT_EQ(incarnation, 1);
  const std::lock_guard lock(mutex_);
  EXPECT_TRUE(downs_.emplace(replica, why).second) << "replica " << replica << " is down twice";
  changed_.notify_all();
}

Error Events::wait_down(ReplicaId replica) {
  std::unique_lock lock(mutex_);
  EXPECT_TRUE(changed_.wait_until(lock, soon().at(), [&] { return downs_.count(replica) > 0; }));
  return downs_[replica];
}

std::vector<ReplicaId> Events::ready() {
  const std::lock_guard lock(mutex_);
  return ready_;
}

std::size_t Events::downs() {
  const std::lock_guard lock(mutex_);
  return downs_.size();
}

// ---- ClusterTest ----

ClusterTest::ClusterTest() : plugins_{{"device", "mock", "1.0", "abc", "/nowhere"}} {
  config_.model.path = "/models/none";
  // Nobody beats here unless the test says so; tests that mean a timeout set it.
  config_.timeouts.lease = std::chrono::minutes(5);
  auto run = RunDirectory::create(directory_.file("run"), "test");
  EXPECT_TRUE(run) << run.error().message;
  if (run) run_ = std::move(*run);
}

ClusterTest::~ClusterTest() {
  cluster_.reset();  // stops; before the workers, whose links it would else miss
  workers_.clear();
  EXPECT_EQ(executor_.living(), 0u);
}

Status ClusterTest::start(std::int32_t data, std::int32_t tensor) {
  plan_.data = data;
  plan_.tensor = tensor;
  for (std::int32_t dp = 0; dp < data; ++dp) {
    ReplicaPlan replica{.dp = dp, .ranks = {}};
    for (std::int32_t tp = 0; tp < tensor; ++tp)
      replica.ranks.push_back({.rank = dp * tensor + tp, .dp = dp, .pp = 0, .tp = tp, .node = "here"});
    plan_.replicas.push_back(std::move(replica));
  }
  WEFT_ASSIGN(cluster, Cluster::start({.config = &config_,
                                       .plan = &plan_,
                                       .executor = &executor_,
                                       .run_directory = run_.get(),
                                       .plugins = plugins_,
                                       .worker_argv = {"/bin/weft", "worker"},
                                       .build = "build-1"},
                                      events_));
  cluster_ = std::move(cluster);
  return {};
}

FakeWorker& ClusterTest::dial(std::int32_t rank) {
  auto worker = std::make_unique<FakeWorker>(rank, executor_);
  const Status dialed = worker->dial(cluster_->endpoint(), run_->token());
  EXPECT_TRUE(dialed) << dialed.error().message;
  return *(workers_[rank] = std::move(worker));
}

void ClusterTest::say_hello() {
  executor_.wait_launched(plan_.replicas.size());
  for (std::int32_t rank = 0; rank < plan_.world_size(); ++rank)
    dial(rank).hello();
  for (const auto& [rank, worker] : workers_)
    (void)worker->wait_assign();
}

void ClusterTest::bring_up() {
  say_hello();
  for (const auto& [rank, worker] : workers_) {
    worker->say(wire::PHASE_JOINED);
    worker->say(wire::PHASE_LOADED);
    worker->sync();
  }
  for (std::int32_t rank = 0; rank < plan_.world_size(); rank += plan_.tensor)
    workers_[rank]->say_ready(config_hash());
  const Status ready = cluster_->wait_ready(soon());
  ASSERT_TRUE(ready) << ready.error().message;
}

}  // namespace weft::test
