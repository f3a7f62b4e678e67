// Cluster: the head's supervisor. Launches the gangs of a plan, lets workers join through the one port, watches them,
// drains, settles and stops them. It owns the listener and the store; it knows nothing of requests or text.
//
// One thread ("cluster") owns all state; what executor, listener and callers say reaches it as messages. Every state of
// a replica has a deadline (launch, join, load, lease, drain), and what passes one is named: rank, exit code or signal,
// the missing ranks, the last 20 lines of the rank's log.
//
// The sequence of a run, one debug line each: bind and publish; launch; Hello -> Assign; groups open; loaded; at first
// start the leaders compare configuration and weights in a group of their own; ready; (requests); settle: the leaders
// all-reduce what they delivered; stop.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/cluster/replica_state.h"
#include "core/cluster/run_directory.h"
#include "core/config/config.h"
#include "core/plan/plan.h"
#include "weft/executor.h"
#include "weft/load_balancer.h"
#include "weft/store_client.h"

namespace weft {

// A plugin that workers load, as the head found it; a worker whose own differs is refused, and the difference named.
struct WorkerPlugin {
  std::string kind;
  std::string name;
  std::string version;
  std::string sha256;
  std::string path;
};

struct ClusterOptions {
  const Config* config = nullptr;  // outlives the cluster
  const Plan* plan = nullptr;      // outlives the cluster
  Executor* executor = nullptr;    // outlives the cluster, and is trusted not to throw: a plugin's is a GuardedExecutor
  RunDirectory* run_directory = nullptr;
  std::vector<WorkerPlugin> plugins;     // communicator(s) and device
  std::vector<std::string> worker_argv;  // the program and its arguments: {"/usr/bin/weft", "worker"}
  std::string build;                     // version and revision; workers must have the same
};

struct ReplicaStatus {
  std::int32_t dp = 0;
  std::int64_t incarnation = 0;
  ReplicaState state = ReplicaState::launching;
  Error error;                // down: why
  double launch_seconds = 0;  // launch() until every rank was placed
  double join_seconds = 0;
  double load_seconds = 0;
  std::int32_t kv_blocks = 0;
  Bytes weight_bytes = 0;  // sum over ranks
};

// Told on the cluster's thread; must not block, may call nothing of the cluster but const methods.
class ClusterEvents {
 public:
  virtual ~ClusterEvents() = default;
  virtual void on_ready(ReplicaId replica, std::int64_t incarnation) = 0;
  virtual void on_down(ReplicaId replica, std::int64_t incarnation, const Error& why) = 0;
};

// What the leaders counted together at the end of a batch.
struct Settlement {
  std::int64_t requests = 0;  // all-reduced over the replicas in `members`
  std::int64_t tokens = 0;
  std::vector<std::int32_t> members;                                   // dp of the replicas that took part
  std::vector<std::int32_t> left_out;                                  // dp of those that had failed
  std::map<std::int32_t, std::pair<std::int64_t, std::int64_t>> each;  // dp -> requests, tokens
};

class Cluster {
 public:
  // Binds the port (unavailable names it where it is taken), publishes the endpoint and launches every replica.
  static Result<std::unique_ptr<Cluster>> start(ClusterOptions options, ClusterEvents& events);
  virtual ~Cluster() = default;  // stop(0) if that has not been done

  // The store, in this process. Any thread.
  virtual StoreClient& store() noexcept = 0;
  virtual const std::string& endpoint() const noexcept = 0;
  // Until every replica is ready, or one is down: then its error.
  virtual Status wait_ready(Deadline deadline) = 0;
  virtual std::vector<ReplicaStatus> replicas() const = 0;
  // The leaders that are left open a group and all-reduce their counters. Requests must have ended.
  virtual Result<Settlement> settle(Deadline deadline) = 0;
  // Ends every replica: Stop to the workers, then the executor's TERM and KILL after `grace`. Idempotent; returns when
  // no process is left. Any thread; a second call with a shorter grace counts.
  virtual Status stop(Duration grace) = 0;
  // The same without waiting for the end.
  virtual void begin_stop(Duration grace) = 0;
};

}  // namespace weft
