// The plugin's Communicator: opens groups. Holds one Gloo device, that is one thread, for each local address
// in use.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "plugins/comm_gloo/transport.h"
#include "weft/communicator.h"
#include "weft/host.h"

namespace gloo::transport::tcp {
class Device;
}

namespace weft::comm_gloo {

struct Settings {
  std::string interface;   // listen on this network interface; empty: by address
  std::string address;     // listen on this local address; empty: GroupSpec's, else the one the route gives
  Duration spin{};         // how long a wait looks at the socket before it sleeps
  Bytes gather_bytes = 0;  // longer all_reduces of more than two ranks go as reduce_scatter and all_gather
};

class GlooCommunicator final : public Communicator {
 public:
  GlooCommunicator(Settings settings, HostServices& host) : settings_(std::move(settings)), host_(host) {}

  Result<std::unique_ptr<Group>> open(const GroupSpec& spec) override;
  void* query(std::string_view) override { return nullptr; }

 private:
  Result<std::unique_ptr<Group>> open_checked(const GroupSpec& spec, const std::string& context);
  Result<std::shared_ptr<gloo::transport::tcp::Device>> device_for(const GroupSpec& spec);
  Result<Fabric> build(const GroupSpec& spec, const std::string& prefix,
                       std::shared_ptr<gloo::transport::tcp::Device> device);

  const Settings settings_;
  HostServices& host_;
  std::mutex mutex_;                                                              // guards devices_
  std::map<std::string, std::shared_ptr<gloo::transport::tcp::Device>> devices_;  // by interface or address
};

}  // namespace weft::comm_gloo
