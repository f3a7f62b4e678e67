// The plugin's Communicator: opens groups.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "plugins/comm_shm/watcher.h"
#include "weft/communicator.h"
#include "weft/host.h"

namespace weft::comm_shm {

struct Settings {
  Bytes memory = 0;           // shared memory of each rank for what is on its way
  Bytes allocate_memory = 0;  // and for allocate(), at most
  Duration spin{};            // how long a wait watches before it sleeps
  Bytes one_shot = 0;         // all_reduces up to this length go in one round
};

class ShmCommunicator final : public Communicator {
 public:
  ShmCommunicator(Settings settings, HostServices& host) : settings_(settings), host_(host) {}

  Result<std::unique_ptr<Group>> open(const GroupSpec& spec) override;
  void* query(std::string_view) override { return nullptr; }

 private:
  Result<std::unique_ptr<Group>> open_checked(const GroupSpec& spec, const std::string& context);
  Result<std::shared_ptr<Watcher>> watcher();

  const Settings settings_;
  HostServices& host_;
  std::mutex mutex_;                // guards watcher_
  std::weak_ptr<Watcher> watcher_;  // the open groups hold it
};

}  // namespace weft::comm_shm
