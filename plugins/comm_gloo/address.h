// Where a communicator listens, and the Gloo device that does.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "weft/status.h"

namespace gloo::transport::tcp {
class Device;
}

namespace weft::comm_gloo {

// The local address that packets to other machines would leave from; "127.0.0.1" on a machine without a
// route. Sends nothing.
std::string route_address();

// A Gloo TCP device bound to `interface` if that is not empty, else to `address`; ports are the kernel's
// choice. It owns one thread, "weft-gloo", which runs on `cpus` (empty: anywhere) and takes no signals.
// invalid_argument when this machine has no such interface or address.
Result<std::shared_ptr<gloo::transport::tcp::Device>> make_device(const std::string& interface,
                                                                  const std::string& address,
                                                                  std::span<const int> cpus);

}  // namespace weft::comm_gloo
