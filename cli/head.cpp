#include "cli/head.h"

#include <filesystem>

namespace weft::cli {

Result<std::unique_ptr<Head>> Head::start(Setup& setup, RouterEvents& events, std::function<void(const Error&)> lost,
                                          std::string program) {
  std::unique_ptr<Head> head(new Head(std::move(lost)));
  const Config& config = setup.config;
  WEFT_ASSIGN(run_directory, RunDirectory::create(config.cluster.run_dir, config.cluster.name));
  head->run_directory_ = std::move(run_directory);
  if (program.empty()) {
    std::error_code code;
    program = std::filesystem::read_symlink("/proc/self/exe", code).string();
    if (code) return fail(ErrorCode::internal, "/proc/self/exe: " + code.message());
  }
  WEFT_ASSIGN(cluster, Cluster::start({.config = &config,
                                       .plan = &setup.plan,
                                       .executor = setup.guarded_executor.get(),
                                       .run_directory = head->run_directory_.get(),
                                       .plugins = setup.worker_plugins(),
                                       .worker_argv = {program, "worker"},
                                       .build = build_identity()},
                                      *head));
  head->cluster_ = std::move(cluster);
  const std::string& listen = config.cluster.listen;
  WEFT_ASSIGN(router, Router::open({.epoch = 1,
                                    .endpoint = "tcp://" + listen.substr(0, listen.rfind(':')) + ":0",
                                    .advertise = config.cluster.advertise,
                                    .token = head->run_directory_->token(),
                                    .block_size = config.engine.block_size,
                                    .dead_after = config.timeouts.lease},
                                   *setup.guarded_balancer, head->cluster_->store(), events));
  {
    const std::lock_guard lock(head->mutex_);
    head->router_ = std::move(router);
    for (const auto& what : head->early_)
      what(*head->router_);
    head->early_.clear();
  }
  return head;
}

Head::~Head() {
  if (cluster_ != nullptr) (void)cluster_->stop(Duration::zero());
  router_.reset();
  cluster_.reset();
}

void Head::tell_router(std::function<void(Router&)> what) {
  const std::lock_guard lock(mutex_);
  if (router_ != nullptr)
    what(*router_);
  else
    early_.push_back(std::move(what));
}

void Head::on_ready(ReplicaId replica, std::int64_t incarnation) {
  was_ready_[replica] = true;
  tell_router([=](Router& router) { router.set_ready(replica, incarnation); });
}

void Head::on_down(ReplicaId replica, std::int64_t incarnation, const Error& why) {
  tell_router([=](Router& router) { router.set_down(replica, incarnation, why); });
  if (was_ready_[replica] && lost_) lost_(why);
}

}  // namespace weft::cli
