// The one implementation of Cluster. Private to core/cluster.
//
// The thread "cluster" owns every member but those marked otherwise. Executor, listener and callers hand it tasks;
// it runs them in order, then looks at deadlines, then publishes what callers wait for.
#pragma once

#include <array>
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <thread>

#include "core/cluster/cluster.h"
#include "core/cluster/replica.h"
#include "core/store/local_store.h"
#include "core/store/store_service.h"
#include "core/wire/link.h"

namespace weft::cluster_detail {

class Supervisor final : public Cluster, private wire::ListenerHandler, private GangSink {
 public:
  Supervisor(ClusterOptions options, ClusterEvents& events);
  ~Supervisor() override;
  Status begin();  // binds, publishes, launches, starts the thread

  StoreClient& store() noexcept override { return local_store_; }
  const std::string& endpoint() const noexcept override { return endpoint_; }
  Status wait_ready(Deadline deadline) override;
  std::vector<ReplicaStatus> replicas() const override;
  Result<Settlement> settle(Deadline deadline) override;
  Status stop(Duration grace) override;

 private:
  // Listener's thread.
  void on_bound(wire::Listener& listener) override;
  Status on_open(const wire::Peer& peer) override;
  void on_message(const wire::Peer& peer, const wire::Envelope& envelope) override;
  void on_down(const wire::Peer& peer, const Error& why) override;
  // Executor's thread.
  void on_pending(const GangId& gang, std::string_view why) override;
  void on_placed(const GangId& gang, const std::vector<Placement>& placements) override;
  void on_exit(const GangId& gang, std::int32_t rank, const Exit& exit) override;

  // The thread's own.
  void run();
  void post(std::function<void()> task);
  void publish();
  Time next_deadline() const;
  void check_deadlines(Time now);
  void check_replica(Replica& replica, Time now);
  void launch(Replica& replica);
  void placed(Replica& replica, const std::vector<Placement>& placements);
  void exited(Replica& replica, RankState& rank, const Exit& exit);
  void message(const wire::Peer& peer, const wire::Envelope& envelope);
  void hello(Replica& replica, RankState& rank, const wire::Peer& peer, const wire::Hello& hello);
  Status check_hello(const wire::Hello& hello) const;
  wire::Assign assignment(const Replica& replica, const RankState& rank) const;
  void phase(Replica& replica, RankState& rank, const wire::Phase& phase);
  void heartbeat(RankState& rank, const wire::Heartbeat& heartbeat);
  void settled(Replica& replica, const wire::Settled& settled);
  void finish_settlement();
  void link_down(const wire::Peer& peer, const Error& why);
  // Moves the replica by the table; an event without meaning in its state is logged. True if it moved.
  bool apply(Replica& replica, ReplicaEvent event, const std::string& cause);
  // Something is wrong with a rank. The root cause may still be on its way (a peer's exit): it is awaited a moment.
  void suspect(Replica& replica, const RankState& rank, Evidence::Kind kind, Error error);
  void go_down(Replica& replica);
  void stop_all(Duration grace);
  void end_gang(Replica& replica, Duration grace);
  Replica* find_replica(const GangId& gang);
  std::pair<Replica*, RankState*> find_rank(std::int32_t rank, std::int64_t incarnation);

  const ClusterOptions options_;
  ClusterEvents& events_;
  const std::string config_toml_;
  const std::string config_hash_;
  store::StoreHost store_host_;        // any thread
  store::LocalStore local_store_;      // any thread
  store::StoreService store_service_;  // listener's thread
  wire::Listener* bound_ = nullptr;    // to send by, from on_bound() on
  std::string endpoint_;               // constant after begin()

  std::vector<Replica> replicas_;
  bool stopping_ = false;
  Time kill_at_ = Time::max();  // when stopping: what is left then is killed

  struct Settling {
    Settlement result;
    std::promise<Result<Settlement>> promise;
    Time deadline;
  };
  std::optional<Settling> settling_;
  int settlements_ = 0;

  mutable std::mutex mutex_;  // guards tasks_, statuses_, gone_, ended_
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  std::vector<ReplicaStatus> statuses_;
  bool gone_ = false;   // every process of every replica has ended
  bool ended_ = false;  // the thread is to return
  std::thread thread_;
  std::unique_ptr<wire::Listener> listener_;  // last: its thread ends before what it uses
};

}  // namespace weft::cluster_detail
