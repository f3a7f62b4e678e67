// How the ranks of a group connect: a full mesh of Gloo connections, through keys beside those of their meeting
// (plugins/common/meeting.h).
//
//   group/<id>/gloo/mesh/...      Gloo's own keys: addresses of each rank's listening sockets
//   group/<id>/gloo/ends/...      local addresses of each rank's connections
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "plugins/comm_gloo/socket.h"
#include "weft/communicator.h"

namespace gloo {
class Context;
namespace transport {
class Device;
}
}  // namespace gloo

namespace weft::comm_gloo {

// A full mesh of connections, and a duplicate of each one's descriptor, by rank.
struct Mesh {
  std::shared_ptr<gloo::Context> context;
  std::vector<Descriptor> sockets;
};

// Connects to every other rank; all must have met. `prefix` is that of the meeting's keys, `name` tells apart several
// meshes of one group.
Result<Mesh> connect(const GroupSpec& spec, const std::string& prefix, const std::string& name,
                     std::shared_ptr<gloo::transport::Device> device);

}  // namespace weft::comm_gloo
