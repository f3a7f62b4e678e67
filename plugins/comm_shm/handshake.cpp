#include "plugins/comm_shm/handshake.h"

#include <fmt/format.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "plugins/comm_shm/segment.h"
#include "plugins/common/errno_text.h"

namespace weft::comm_shm {
namespace {

constexpr std::size_t max_files = static_cast<std::size_t>(max_ranks) + 1;  // of 253 that the kernel takes at once
constexpr std::size_t max_message = 512;

struct Address {
  sockaddr_un address{};
  socklen_t length = 0;
};

// An abstract name begins with a null byte and is not terminated.
Address abstract_address(const std::string& name) {
  Address made;
  made.address.sun_family = AF_UNIX;
  const std::size_t bytes = std::min(name.size(), sizeof(made.address.sun_path) - 1);
  std::memcpy(made.address.sun_path + 1, name.data(), bytes);
  made.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + bytes);
  return made;
}

// Room for the control message, aligned as the kernel wants it.
struct Control {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(max_files * sizeof(int))> bytes{};
};

}  // namespace

Result<Token> random_token() {
  std::array<unsigned char, 16> bits{};
  if (::getrandom(bits.data(), bits.size(), 0) != static_cast<ssize_t>(bits.size()))
    return fail(ErrorCode::unavailable, fmt::format("getrandom: {}", plugins::errno_text(errno)));
  Token token;
  for (std::size_t i = 0; i < bits.size(); ++i)
    fmt::format_to_n(token.data() + 2 * i, 2, "{:02x}", bits[i]);
  return token;
}

Result<plugins::Descriptor> listen_at(const std::string& name) {
  plugins::Descriptor socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket)
    return fail(ErrorCode::resource_exhausted,
                fmt::format("cannot make a Unix socket: {}", plugins::errno_text(errno)));
  const Address at = abstract_address(name);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&at.address), at.length) != 0 ||
      ::listen(socket.get(), SOMAXCONN) != 0)
    return fail(ErrorCode::unavailable, fmt::format("cannot listen on a Unix socket: {}", plugins::errno_text(errno)));
  return socket;
}

Result<plugins::Descriptor> connect_to(const std::string& name, Deadline deadline) {
  plugins::Descriptor socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!socket)
    return fail(ErrorCode::resource_exhausted,
                fmt::format("cannot make a Unix socket: {}", plugins::errno_text(errno)));
  // connect() waits only while the listener's queue is full.
  const auto left = std::min<Duration>(deadline.left(), std::chrono::hours(1));
  const auto us = std::max<std::int64_t>(1, std::chrono::duration_cast<std::chrono::microseconds>(left).count());
  const timeval limit{.tv_sec = us / 1'000'000, .tv_usec = us % 1'000'000};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  const Address at = abstract_address(name);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&at.address), at.length) == 0) return socket;
  if (errno == EAGAIN || errno == EINTR)
    return fail(ErrorCode::deadline_exceeded, "did not take this rank's connection in time", true);
  return fail(ErrorCode::unavailable, fmt::format("is not there any more: {}", plugins::errno_text(errno)), true);
}

bool same_user(const plugins::Descriptor& socket) noexcept {
  ucred other{};
  socklen_t length = sizeof(other);
  return ::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &other, &length) == 0 && other.uid == ::geteuid();
}

Status send_message(const plugins::Descriptor& socket, std::span<const std::byte> message, std::span<const int> files) {
  if (files.size() > max_files) return fail(ErrorCode::internal, "too many descriptors for one message");
  Control control;
  iovec data{.iov_base = const_cast<std::byte*>(message.data()), .iov_len = message.size()};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = control.bytes.data();
  header.msg_controllen = CMSG_SPACE(files.size_bytes());
  cmsghdr* rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(files.size_bytes());
  std::memcpy(CMSG_DATA(rights), files.data(), files.size_bytes());
  // One small message to a socket that has had none fits its buffer.
  if (::sendmsg(socket.get(), &header, MSG_NOSIGNAL) == static_cast<ssize_t>(message.size())) return {};
  return fail(ErrorCode::unavailable, fmt::format("went away while the group opened: {}", plugins::errno_text(errno)),
              true);
}

Result<std::optional<RawMessage>> receive_message(const plugins::Descriptor& socket) {
  Control control;
  RawMessage received{.bytes = std::vector<std::byte>(max_message), .files = {}};
  iovec data{.iov_base = received.bytes.data(), .iov_len = received.bytes.size()};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = control.bytes.data();
  header.msg_controllen = control.bytes.size();
  const ssize_t bytes = ::recvmsg(socket.get(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (bytes < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
  if (bytes <= 0) return fail(ErrorCode::unavailable, "went away while the group opened", true);
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    std::vector<int> files((part->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    std::memcpy(files.data(), CMSG_DATA(part), files.size() * sizeof(int));
    for (const int file : files)
      received.files.emplace_back(file);
  }
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
    return fail(ErrorCode::resource_exhausted,
                "sent more than this process may take; is its limit of open files too low?");
  received.bytes.resize(static_cast<std::size_t>(bytes));
  return received;
}

}  // namespace weft::comm_shm
