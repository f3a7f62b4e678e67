// The head of a cluster: run directory, supervision and router, put together. `weft run` holds one; `weft serve` will.
#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "cli/setup.h"
#include "core/cluster/cluster.h"
#include "core/routing/router.h"

namespace weft::cli {

class Head final : private ClusterEvents {
 public:
  // Makes the run directory, launches the cluster and opens the router. `lost` is told, on the cluster's thread, when a
  // replica has gone down after it was ready.
  // `program` is the weft that workers run; empty: this one.
  static Result<std::unique_ptr<Head>> start(Setup& setup, RouterEvents& events, std::function<void(const Error&)> lost,
                                             std::string program = {});
  ~Head() override;  // stops what runs

  Cluster& cluster() noexcept { return *cluster_; }
  Router& router() noexcept { return *router_; }
  const RunDirectory& run_directory() const noexcept { return *run_directory_; }

 private:
  explicit Head(std::function<void(const Error&)> lost) : lost_(std::move(lost)) {}
  void on_ready(ReplicaId replica, std::int64_t incarnation) override;
  void on_down(ReplicaId replica, std::int64_t incarnation, const Error& why) override;
  void tell_router(std::function<void(Router&)> what);

  std::function<void(const Error&)> lost_;
  std::unique_ptr<RunDirectory> run_directory_;
  std::mutex mutex_;                                 // guards early_ and the moment at which router_ is set
  std::vector<std::function<void(Router&)>> early_;  // what the cluster said before there was a router
  std::map<ReplicaId, bool> was_ready_;              // the cluster's thread alone
  std::unique_ptr<Cluster> cluster_;
  std::unique_ptr<Router> router_;  // before the cluster's store goes
};

}  // namespace weft::cli
