// All that one rank holds: its plugins, its groups, its part of the model. Built in the order of joining, destroyed in
// the reverse. One thread, but for abort_groups().
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "core/config/config.h"
#include "core/plugin/host_services.h"
#include "core/plugin/plugin_host.h"
#include "core/wire/messages.pb.h"
#include "engine/model/model_runner.h"
#include "weft/communicator.h"
#include "weft/device.h"
#include "worker/environment.h"
#include "worker/head_link.h"

namespace weft::worker {

// A plugin that the head named, found and checked, before anything is made of it.
struct FoundPlugins {
  std::unique_ptr<PluginHost> host;
  std::vector<const LoadedPlugin*> all;

  const LoadedPlugin* find(std::string_view kind, std::string_view name) const;
};
Result<FoundPlugins> find_plugins(const Environment& environment);

class Rank {
 public:
  // Makes device and communicators, and opens the replica's groups.
  static Result<std::unique_ptr<Rank>> open(const FoundPlugins& plugins, wire::Assign assign, StoreClient& store);
  // Loads this rank's shard; agrees with the other ranks on the number of KV blocks and makes the cache.
  Status load(Progress& progress);

  // A further group of leaders, opened with the control group's communicator.
  Result<std::unique_ptr<Group>> open_leaders(const wire::GroupInfo& info, Deadline deadline);
  // Any thread: whoever waits in one of the replica's groups comes back with `why`.
  void abort_groups(const Error& why) noexcept;
  Status close_groups(Deadline deadline);

  bool leads() const noexcept { return assign_.tp() == 0 && assign_.pp() == 0; }
  std::int32_t ranks() const noexcept { return assign_.tp_size() * assign_.pp_size(); }
  const wire::Assign& assign() const noexcept { return assign_; }
  const Config& config() const noexcept { return config_; }
  Group* control() noexcept { return control_.get(); }  // null in a replica of one rank
  engine::ModelRunner& runner() noexcept { return *runner_; }
  std::int32_t kv_blocks() const noexcept { return kv_blocks_; }
  // XXH3-128 of what this rank loaded, 16 bytes big-endian.
  std::string weights_hash() const;
  // Of every rank of the replica, by rank within it: an all_gather over the control group.
  Result<std::vector<std::string>> gather_hashes();

 private:
  Rank() = default;
  Status make_plugins(const FoundPlugins& plugins, StoreClient& store);
  Status open_groups(StoreClient& store);
  Result<std::unique_ptr<Group>> open_group(Communicator& communicator, const wire::GroupInfo& info, StoreClient& store,
                                            Deadline deadline);
  Result<std::int32_t> agree_on_blocks(std::int32_t mine);

  wire::Assign assign_;
  Config config_;
  StoreClient* store_ = nullptr;
  Metrics metrics_;
  std::vector<std::unique_ptr<PluginHostServices>> services_;
  PluginHandle<Device> device_;
  PluginHandle<Communicator> communicator_;
  PluginHandle<Communicator> control_communicator_;  // empty where it is the same plugin
  std::mutex groups_mutex_;                          // guards the three pointers against abort_groups()
  std::unique_ptr<Group> control_;
  std::unique_ptr<Group> tensor_;
  std::unique_ptr<Group> pipeline_;
  std::unique_ptr<engine::ModelRunner> runner_;
  std::int32_t kv_blocks_ = 0;
};

}  // namespace weft::worker
