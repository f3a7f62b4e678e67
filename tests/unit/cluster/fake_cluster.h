// A cluster without processes: an executor whose ranks are entries in a map, and workers that are scripted peers.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/cluster/cluster.h"
#include "core/wire/link.h"
#include "tests/support/temporary_directory.h"
#include "weft/executor_log_tail.h"

namespace weft::test {

inline Deadline soon() { return Deadline::in(std::chrono::seconds(60)); }
inline Exit exit_code(int code) { return {.cause = Exit::Cause::code, .value = code, .detail = {}}; }
inline Exit exit_signal(int signal) { return {.cause = Exit::Cause::signal, .value = signal, .detail = {}}; }

// Tells what it is told to tell, on its own thread. Ranks end when the test says so, or when they are stopped.
class MockExecutor final : public Executor {
 public:
  MockExecutor();
  ~MockExecutor() override;
  Result<Inventory> inventory(Deadline) override { return Inventory{}; }
  Status launch(const GangSpec& spec, GangSink& sink) override;
  Status stop(const GangId& gang, Duration grace) override;
  Status close() override;
  void* query(std::string_view interface_id) override {
    return interface_id == ExecutorLogTail::interface_id ? log_tails : nullptr;
  }

  // Before the cluster starts.
  std::optional<Error> refuse;  // launch() fails
  ExecutorLogTail* log_tails = nullptr;
  bool place = true;  // false: gangs wait for place_all()
  bool obey = true;   // false: a stopped rank ends only when the test says so

  void place_all();
  void exit(std::int32_t rank, const Exit& exit);  // nothing if it has ended
  bool lives(std::int32_t rank);
  std::size_t living();
  // The grace of each stop of the gang, in order.
  std::vector<Duration> stops(const std::string& gang);
  void wait_launched(std::size_t gangs);
  GangSpec spec(const std::string& gang);

 private:
  struct Gang {
    GangSpec spec;
    GangSink* sink = nullptr;
    std::map<std::int32_t, bool> living;
  };
  void run();
  void post_locked(std::function<void()> task);
  void place_locked(const Gang& gang);
  void exit_locked(Gang& gang, std::int32_t rank, const Exit& exit);

  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  std::map<std::string, Gang> gangs_;
  std::map<std::string, std::vector<Duration>> stops_;
  bool closed_ = false;
  std::thread thread_;
};

// One rank's end of the protocol. Says only what the test has it say, but for the answer to Stop and Settle.
class FakeWorker final : public wire::DialerHandler {
 public:
  FakeWorker(std::int32_t rank, MockExecutor& executor) : rank_(rank), executor_(executor) {}
  ~FakeWorker() override { hang_up(); }

  Status dial(const std::string& endpoint, const std::string& token, std::int64_t incarnation = 1);
  Status send(wire::Envelope envelope);
  void hello(const std::string& build = "build-1", const std::string& sha256 = "abc");
  void say(wire::PhaseKind kind);
  void say_ready(const std::string& config_hash);
  void beat(std::int64_t step, bool busy);
  void fail_with(const Error& error);
  void settled(const wire::Settled& settled);
  void hang_up();
  // Returns once the head has queued all that was said before for its own thread.
  void sync();

  wire::Assign wait_assign();
  Error wait_down();
  wire::Settle wait_settle(std::size_t number = 1);
  bool heard_stop();

  void stay_on_stop();
  // Until then Settle is left to the test.
  void answer(std::function<wire::Settled(const wire::Settle&)> answer);

 private:
  void on_message(const wire::Envelope& envelope) override;
  void on_down(const Error& why) override;

  const std::int32_t rank_;
  MockExecutor& executor_;
  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::optional<wire::Assign> assign_;
  std::vector<wire::Settle> settles_;
  std::optional<Error> down_;
  bool stop_ = false;
  bool ends_on_stop_ = true;
  std::function<wire::Settled(const wire::Settle&)> answer_;
  int replies_ = 0;  // of the store
  std::unique_ptr<wire::Dialer> dialer_;
};

class Events final : public ClusterEvents {
 public:
  void on_ready(ReplicaId replica, std::int64_t incarnation) override;
  void on_down(ReplicaId replica, std::int64_t incarnation, const Error& why) override;
  Error wait_down(ReplicaId replica);
  std::vector<ReplicaId> ready();
  std::size_t downs();

 private:
  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::vector<ReplicaId> ready_;
  std::map<ReplicaId, Error> downs_;
};

class ClusterTest : public testing::Test {
 protected:
  ClusterTest();
  ~ClusterTest() override;

  // data copies of tensor ranks.
  Status start(std::int32_t data, std::int32_t tensor);
  FakeWorker& dial(std::int32_t rank);
  // Every rank says Hello and is assigned.
  void say_hello();
  void bring_up();  // all of it, to ready
  std::string config_hash() { return hash_config(config_); }
  std::string log_of(std::int32_t rank) { return run_->log_path(rank, 1); }
  ReplicaStatus status(std::size_t replica) { return cluster_->replicas().at(replica); }

  TemporaryDirectory directory_;
  Config config_;
  Plan plan_;
  MockExecutor executor_;
  Events events_;
  std::unique_ptr<RunDirectory> run_;
  std::vector<WorkerPlugin> plugins_;
  std::unique_ptr<Cluster> cluster_;
  std::map<std::int32_t, std::unique_ptr<FakeWorker>> workers_;
};

}  // namespace weft::test
