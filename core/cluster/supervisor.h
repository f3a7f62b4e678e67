// The one implementation of Cluster. Private to core/cluster.
//
// The thread "cluster" owns every member but those marked otherwise. Executor, listener and callers hand it tasks;
// it runs them in order, then looks at deadlines, then publishes what callers wait for.
//
//   supervisor.cpp  callers, the thread, launch and stop      join.cpp    what workers say
//   watch.cpp       deadlines, evidence, going down           settle.cpp  the counters at the end
#pragma once

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
#include "weft/executor_log_tail.h"

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
  void begin_stop(Duration grace) override;

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

  // Any thread.
  void post(std::function<void()> task);

  // The thread's own.
  void run();
  void publish(bool round_ends);
  void launch(Replica& replica);
  GangSpec gang_spec(const Replica& replica) const;
  void placed(Replica& replica, const std::vector<Placement>& placements);
  void exited(Replica& replica, RankState& rank, const Exit& exit);
  void stop_all(Duration grace);
  void stop_replica(Replica& replica, Duration grace);
  void end_gang(const Replica& replica, Duration grace);
  // Moves the replica by the table; an event without meaning in its state is logged. True if it moved.
  bool apply(Replica& replica, ReplicaEvent event, const std::string& cause);
  Replica* find_replica(const GangId& gang);
  std::pair<Replica*, RankState*> find_rank(std::int32_t rank, std::int64_t incarnation);

  // join.cpp
  void message(const wire::Peer& peer, const wire::Envelope& envelope);
  void failed(Replica& replica, const RankState& rank, const Error& error);
  void hello(Replica& replica, RankState& rank, const wire::Peer& peer, const wire::Hello& hello);
  Status check_hello(const wire::Hello& hello) const;
  wire::Assign assignment(const Replica& replica, const RankState& rank) const;
  void phase(Replica& replica, RankState& rank, const wire::Phase& phase);
  void ready(Replica& replica, const RankState& rank, const wire::Phase& phase);
  // On to loading or ready, as soon as all is there: what ranks and executor say comes in any order.
  void advance(Replica& replica);
  void heartbeat(RankState& rank, const wire::Heartbeat& heartbeat);
  void link_down(const wire::Peer& peer, const Error& why);

  // watch.cpp
  Time next_deadline() const;
  void check_deadlines(Time now);
  void check_replica(Replica& replica, Time now);
  void check_rank(Replica& replica, RankState& rank, Time now);
  void state_deadline_passed(Replica& replica);
  // Something is wrong with a rank. A better explanation may still be on its way (a peer's exit): it is awaited a moment.
  void suspect(Replica& replica, const RankState& rank, Evidence::Kind kind, Error error);
  void go_down(Replica& replica);
  // The last lines of a rank's log, from the executor where it keeps them, else from the file; empty: there are none.
  std::string log_of(const Replica& replica, std::int32_t rank) const;

  // settle.cpp
  void begin_settlement(std::promise<Result<Settlement>> promise, Deadline deadline);
  void begin_round();
  void settled(Replica& replica, RankState& rank, const wire::Settled& settled);
  void end_round();
  void settlement_lost(const Replica& replica);
  void end_settlement(Result<Settlement> result);
  void settlement_deadline_passed();

  const ClusterOptions options_;
  ExecutorLogTail* const log_tails_;  // the executor's; null: it keeps none
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
    std::map<std::int32_t, Error> failed;  // dp -> what its leader said went wrong
    std::string group;
    std::promise<Result<Settlement>> promise;
    Deadline deadline;
  };
  std::optional<Settling> settling_;
  int rounds_ = 0;

  mutable std::mutex mutex_;  // guards what follows, up to thread_
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  std::vector<ReplicaStatus> statuses_;
  std::string left_;    // when stopping: the ranks whose processes have not ended
  bool told_ = false;   // no event of what `statuses_` says is still to be told
  bool gone_ = false;   // every process of every replica has ended, and its end has been told
  bool ended_ = false;  // the thread is to return
  std::thread thread_;
  std::unique_ptr<wire::Listener> listener_;  // last: its thread ends before what it uses
};

}  // namespace weft::cluster_detail
