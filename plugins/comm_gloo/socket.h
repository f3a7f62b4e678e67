// Finding the socket that Gloo keeps to itself.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "plugins/common/descriptor.h"
#include "weft/status.h"

namespace weft::comm_gloo {

using plugins::Descriptor;

// A duplicate of the descriptor of this process's connected socket with local address `local`. Several may have it, for
// Linux lets connections to different peers share a port; only then is `remote` asked for the address of the other end.
// Addresses are sockaddr_storage, as Gloo's Address::bytes() begin.
// unavailable: there is no such socket any more, so the connection is closed. Any thread.
Result<Descriptor> duplicate_socket(std::span<const char> local, const std::function<Result<std::string>()>& remote);

}  // namespace weft::comm_gloo
