// How the ranks of a group find each other: keys in the store, then a full mesh of Gloo connections.
//
//   group/<id>/gloo/rank/<i>      who came as rank i, and with what size; compare_and_set refuses a second
//   one group/<id>/gloo/mesh/...      Gloo's own keys: addresses of each rank's listening sockets
//   group/<id>/gloo/ends/...      local addresses of each rank's connections
//   group/<id>/gloo/broken/<i>    why rank i left a group that broke, for the others' messages
//   group/<id>/gloo/left          how many have closed; the last one removes all keys
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
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

// "group/<id>/gloo/": a folder of our own, so that no other group's keys begin with it.
std::string key_prefix(const GroupSpec& spec);
// The member's name for messages; "rank 1" if the spec names none.
std::string member_name(const GroupSpec& spec, std::int32_t rank);

// Says that this rank is here and waits until all are. At the deadline: deadline_exceeded, naming the ranks
// that did not come. already_exists: another process is this rank. invalid_argument: another rank came with
// another size.
Status meet(const GroupSpec& spec);
// Takes this rank's presence back, so that a later open with this id may succeed. For an open that failed.
void withdraw(const GroupSpec& spec) noexcept;

// A full mesh of connections, and a duplicate of each one's descriptor, by rank.
struct Mesh {
  std::shared_ptr<gloo::Context> context;
  std::vector<Descriptor> sockets;
};

// Connects to every other rank; all must have met. `name` tells apart several meshes of one group.
Result<Mesh> connect(const GroupSpec& spec, const std::string& name, std::shared_ptr<gloo::transport::Device> device);

// What a rank leaves behind for the others when its end of the group breaks, and what one finds. Both give up
// after a fifth of a second: the reason only makes a message better.
void leave_reason(const GroupSpec& spec, const Error& why) noexcept;
std::optional<std::string> reason_of(const GroupSpec& spec, std::int32_t rank) noexcept;

// Counts this rank out; the last rank removes the group's keys.
Status leave(const GroupSpec& spec, Deadline deadline);

}  // namespace weft::comm_gloo
