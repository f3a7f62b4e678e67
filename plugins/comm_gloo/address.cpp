#include "plugins/comm_gloo/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gloo/transport/tcp/device.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <exception>

namespace weft::comm_gloo {
namespace {

// A thread inherits name, signal mask and CPU set of the one that makes it. Gloo makes its loop thread
// itself, so we lend it ours for the moment of its creation.
class ThreadTemplate {
 public:
  explicit ThreadTemplate(std::span<const int> cpus) {
    pthread_getname_np(pthread_self(), name_.data(), name_.size());
    pthread_setname_np(pthread_self(), "weft-gloo");
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &signals_);
    if (cpus.empty() || pthread_getaffinity_np(pthread_self(), sizeof(cpus_), &cpus_) != 0) return;
    cpu_set_t wanted;
    CPU_ZERO(&wanted);
    for (const int cpu : cpus)
      if (cpu >= 0 && cpu < CPU_SETSIZE) CPU_SET(static_cast<std::size_t>(cpu), &wanted);
    restore_cpus_ = pthread_setaffinity_np(pthread_self(), sizeof(wanted), &wanted) == 0;
  }
  ~ThreadTemplate() {
    if (restore_cpus_) pthread_setaffinity_np(pthread_self(), sizeof(cpus_), &cpus_);
    pthread_sigmask(SIG_SETMASK, &signals_, nullptr);
    pthread_setname_np(pthread_self(), name_.data());
  }
  ThreadTemplate(const ThreadTemplate&) = delete;
  ThreadTemplate& operator=(const ThreadTemplate&) = delete;

 private:
  std::array<char, 16> name_{};
  sigset_t signals_{};
  cpu_set_t cpus_{};
  bool restore_cpus_ = false;
};

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
  gloo::transport::tcp::attr attributes;
  if (interface.empty())
    attributes.hostname = address;
  else
    attributes.iface = interface;
  try {
    const ThreadTemplate lent(cpus);
    return std::static_pointer_cast<gloo::transport::tcp::Device>(gloo::transport::tcp::CreateDevice(attributes));
  } catch (const std::exception& error) {
    return fail(
        ErrorCode::invalid_argument,
        interface.empty()
            ? fmt::format("gloo: cannot listen on address '{}': it is not one of this machine's ({})", address,
                          error.what())
            : fmt::format("gloo: cannot listen on interface '{}': this machine has none of that name, or it has "
                          "no address ({})",
                          interface, error.what()));
  }
}

}  // namespace weft::comm_gloo
