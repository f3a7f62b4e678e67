#include "plugins/comm_gloo/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gloo/transport/tcp/device.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <system_error>

#include "plugins/common/thread_template.h"

namespace weft::comm_gloo {
namespace {

// Fills in where to bind, and makes sure that this machine can.
Status use(const sockaddr* address, socklen_t length, gloo::transport::tcp::attr& attributes) {
  attributes.ai_family = address->sa_family;
  attributes.ai_socktype = SOCK_STREAM;
  attributes.ai_protocol = IPPROTO_TCP;
  std::memcpy(&attributes.ai_addr, address, length);
  attributes.ai_addrlen = static_cast<int>(length);
  const int fd = ::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool bound = fd >= 0 && ::bind(fd, address, length) == 0;
  const int why = errno;
  if (fd >= 0) ::close(fd);
  if (bound) return {};
  return fail(ErrorCode::invalid_argument, std::generic_category().message(why));
}

Status by_address(const std::string& address, gloo::transport::tcp::attr& attributes) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int failed = ::getaddrinfo(address.c_str(), nullptr, &hints, &found); failed != 0)
    return fail(ErrorCode::invalid_argument,
                fmt::format("cannot listen on address '{}': {}", address, ::gai_strerror(failed)));
  Status status = use(found->ai_addr, found->ai_addrlen, attributes);
  ::freeaddrinfo(found);
  if (status) return {};
  return fail(ErrorCode::invalid_argument,
              fmt::format("cannot listen on address '{}': {}; it must be one of this machine's", address,
                          status.error().message));
}

// The interface's first address, IPv4 before IPv6.
Status by_interface(const std::string& interface, gloo::transport::tcp::attr& attributes) {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return fail(ErrorCode::unavailable, "cannot list this machine's network interfaces");
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner(all, ::freeifaddrs);
  for (const int family : {AF_INET, AF_INET6})
    for (const ifaddrs* entry = all; entry != nullptr; entry = entry->ifa_next)
      if (entry->ifa_addr != nullptr && entry->ifa_addr->sa_family == family && interface == entry->ifa_name)
        return use(entry->ifa_addr, family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6), attributes);
  std::string names;
  for (const ifaddrs* entry = all; entry != nullptr; entry = entry->ifa_next)
    if (entry->ifa_addr != nullptr && entry->ifa_addr->sa_family == AF_INET)
      names += (names.empty() ? "" : ", ") + std::string(entry->ifa_name);
  return fail(ErrorCode::invalid_argument,
              fmt::format("no network interface '{}' with an address; this machine has {}", interface, names));
}

}  // namespace

std::string route_address() {
  const std::string loopback = "127.0.0.1";
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return loopback;
  // Connecting a datagram socket only asks the routing table. 192.0.2.1 is TEST-NET-1 (RFC 5737): nobody's.
  sockaddr_in far{};
  far.sin_family = AF_INET;
  far.sin_port = htons(9);
  far.sin_addr.s_addr = htonl(0xC0000201u);
  sockaddr_in near{};
  socklen_t length = sizeof(near);
  std::array<char, INET_ADDRSTRLEN> text{};
  const bool found = ::connect(fd, reinterpret_cast<const sockaddr*>(&far), sizeof(far)) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&near), &length) == 0 &&
                     ::inet_ntop(AF_INET, &near.sin_addr, text.data(), text.size()) != nullptr;
  ::close(fd);
  return found ? std::string(text.data()) : loopback;
}

Result<std::shared_ptr<gloo::transport::tcp::Device>> make_device(const std::string& interface,
                                                                  const std::string& address,
                                                                  std::span<const int> cpus) {
  // Gloo would resolve these too, but it loses the resolver's memory and chooses among several addresses by itself.
  gloo::transport::tcp::attr attributes;
  WEFT_TRY(interface.empty() ? by_address(address, attributes) : by_interface(interface, attributes));
  try {
    const plugins::ThreadTemplate lent("weft-gloo", cpus);  // Gloo makes its loop thread itself
    return std::make_shared<gloo::transport::tcp::Device>(attributes);
  } catch (const std::exception& error) {
    return fail(ErrorCode::resource_exhausted, fmt::format("cannot start Gloo's device: {}", error.what()));
  }
}

}  // namespace weft::comm_gloo
