#include "plugins/comm_gloo/socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

namespace weft::comm_gloo {
namespace {

using NameOf = int (*)(int, sockaddr*, socklen_t*);

bool has_address(int fd, NameOf name_of, std::span<const char> wanted) {
  sockaddr_storage name{};
  socklen_t length = sizeof(name);
  return name_of(fd, reinterpret_cast<sockaddr*>(&name), &length) == 0 && length <= wanted.size() &&
         std::memcmp(&name, wanted.data(), length) == 0;
}

bool is_connected_from(int fd, std::span<const char> local) {
  sockaddr_storage name{};
  socklen_t length = sizeof(name);
  return has_address(fd, ::getsockname, local) && ::getpeername(fd, reinterpret_cast<sockaddr*>(&name), &length) == 0;
}

std::vector<int> open_descriptors() {
  std::vector<int> found;
  std::error_code error;
  for (auto entry = std::filesystem::directory_iterator("/proc/self/fd", error);
       !error && entry != std::filesystem::directory_iterator(); entry.increment(error))
    found.push_back(std::atoi(entry->path().filename().c_str()));
  return found;
}

}  // namespace

Result<Descriptor> duplicate_socket(std::span<const char> local, const std::function<Result<std::string>()>& remote) {
  std::vector<int> matches = open_descriptors();
  std::erase_if(matches, [&](int fd) { return !is_connected_from(fd, local); });
  if (matches.size() > 1) {
    WEFT_ASSIGN(other_end, remote());
    std::erase_if(matches, [&](int fd) { return !has_address(fd, ::getpeername, other_end); });
  }
  if (matches.empty()) return fail(ErrorCode::unavailable, "closed its connection", true);
  if (matches.size() > 1)
    return fail(ErrorCode::internal, fmt::format("{} sockets have the addresses of one connection", matches.size()));
  Descriptor copy(::fcntl(matches.front(), F_DUPFD_CLOEXEC, 0));
  // Another thread may have closed that descriptor in between, and its number may be somebody else's now.
  if (copy.get() < 0 || !is_connected_from(copy.get(), local))
    return fail(ErrorCode::resource_exhausted, "cannot duplicate the descriptor of Gloo's connection");
  // Gloo makes its sockets without it, and a child that outlives this process would hold the connection open.
  ::fcntl(matches.front(), F_SETFD, FD_CLOEXEC);
  return copy;
}

}  // namespace weft::comm_gloo
