#include "tests/conformance/communicator/store_server.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <map>
#include <stdexcept>
#include <vector>

#include "core/store/store.h"
#include "core/wire/convert.h"

namespace weft::conformance {
namespace {

// A message is its length (4 bytes, native order: one machine) and a StoreRequest or StoreReply.
constexpr std::size_t prefix = sizeof(std::uint32_t);
constexpr std::size_t longest = std::size_t{64} << 20;

std::string framed(const std::string& message) {
  const auto length = static_cast<std::uint32_t>(message.size());
  std::string text(prefix, '\0');
  std::memcpy(text.data(), &length, prefix);
  return text + message;
}

// The first whole message of `bytes`, taken out of it.
std::optional<std::string> take_message(std::string& bytes) {
  if (bytes.size() < prefix) return std::nullopt;
  std::uint32_t length = 0;
  std::memcpy(&length, bytes.data(), prefix);
  if (bytes.size() < prefix + length) return std::nullopt;
  std::string message = bytes.substr(prefix, length);
  bytes.erase(0, prefix + length);
  return message;
}

struct Connection {
  std::string in;
  std::string out;
};

// One thread; ends with its process.
class Server {
 public:
  explicit Server(int listener) : listener_(listener) {}

  [[noreturn]] void run() {
    while (true) {
      std::vector<pollfd> waited{{listener_, POLLIN, 0}};
      for (const auto& [socket, connection] : connections_)
        waited.push_back({socket, static_cast<short>(POLLIN | (connection.out.empty() ? 0 : POLLOUT)), 0});
      ::poll(waited.data(), waited.size(), Deadline(state_.next_deadline()).poll_milliseconds());
      state_.expire(Clock::now());
      for (std::size_t at = 1; at < waited.size(); ++at)
        if (waited[at].revents != 0) serve(waited[at].fd);
      if (waited[0].revents != 0) accept_one();
      for (const auto& [socket, connection] : connections_)
        if (!connection.out.empty()) flush(socket);
    }
  }

 private:
  void accept_one() {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket >= 0) connections_[socket];
  }

  void serve(int socket) {
    std::array<char, 1 << 16> chunk;
    const ssize_t got = ::recv(socket, chunk.data(), chunk.size(), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0 || connections_[socket].in.size() > longest) {
      state_.forget(static_cast<std::uint64_t>(socket));
      connections_.erase(socket);
      ::close(socket);
      return;
    }
    Connection& connection = connections_[socket];
    connection.in.append(chunk.data(), static_cast<std::size_t>(got));
    while (const auto message = take_message(connection.in)) {
      wire::StoreRequest request;
      if (!request.ParseFromString(*message)) continue;
      state_.apply(request, static_cast<std::uint64_t>(socket), Clock::now(), [this, socket](wire::StoreReply reply) {
        if (const auto found = connections_.find(socket); found != connections_.end())
          found->second.out += framed(reply.SerializeAsString());
      });
    }
  }

  void flush(int socket) {
    std::string& out = connections_[socket].out;
    const ssize_t sent = ::send(socket, out.data(), out.size(), MSG_NOSIGNAL);
    if (sent > 0) out.erase(0, static_cast<std::size_t>(sent));
    if (sent < 0 && errno != EAGAIN && errno != EINTR) out.clear();  // the next read finds its end
  }

  const int listener_;
  store::StoreState state_;
  std::map<int, Connection> connections_;  // by socket, which is its source's number too
};

// The kernel chooses an abstract name: no file, no port, nothing that could be taken already.
int listen_anywhere(std::string& address) {
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  socklen_t length = sizeof(name);
  if (listener < 0 || ::bind(listener, reinterpret_cast<sockaddr*>(&name), sizeof(sa_family_t)) != 0 ||
      ::getsockname(listener, reinterpret_cast<sockaddr*>(&name), &length) != 0 || ::listen(listener, 128) != 0)
    throw std::runtime_error(fmt::format("the case's store cannot listen: {}", std::strerror(errno)));
  address.assign(name.sun_path, length - offsetof(sockaddr_un, sun_path));
  return listener;
}

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int get() const noexcept { return fd_; }

 private:
  const int fd_;
};

tl::unexpected<Error> store_gone(std::string_view doing) {
  return fail(ErrorCode::unavailable, fmt::format("the store is gone: {}: {}", doing, std::strerror(errno)), true);
}

// A little earlier than the caller's, because only the server knows which keys are missing.
std::int64_t server_timeout(Deadline deadline) {
  const std::int64_t left = store::milliseconds_left(deadline);
  return left - std::min<std::int64_t>(left / 4, 100);
}

}  // namespace

StoreServer::StoreServer() {
  const int listener = listen_anywhere(address_);
  const pid_t parent = ::getpid();
  process_ = ::fork();
  if (process_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    Server(listener).run();
  }
  ::close(listener);
  if (process_ < 0) throw std::runtime_error("no process for the case's store");
}

StoreServer::~StoreServer() {
  ::kill(process_, SIGKILL);
  while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Result<wire::StoreReply> ServedStore::call(wire::StoreRequest request, Deadline deadline) {
  request.set_timeout_ms(server_timeout(deadline));
  const Socket socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, address_.data(), address_.size());
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&name), length) != 0) return store_gone("connect");
  std::string out = framed(request.SerializeAsString());
  while (!out.empty()) {
    const ssize_t sent = ::send(socket.get(), out.data(), out.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EINTR) return store_gone("send");
    if (sent > 0) out.erase(0, static_cast<std::size_t>(sent));
  }
  std::string in;
  std::array<char, 1 << 14> chunk;
  while (true) {
    if (const auto message = take_message(in)) {
      wire::StoreReply reply;
      if (!reply.ParseFromString(*message)) return store_gone("an answer that cannot be read");
      if (reply.has_error()) return fail(wire::from_wire(reply.error()));
      return reply;
    }
    pollfd waited{socket.get(), POLLIN, 0};
    if (::poll(&waited, 1, deadline.poll_milliseconds()) == 0 && deadline.passed())
      return fail(ErrorCode::deadline_exceeded, fmt::format("{}: no answer in time", store::describe(request)), true);
    const ssize_t got = ::recv(socket.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (got > 0) in.append(chunk.data(), static_cast<std::size_t>(got));
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return store_gone("receive");
  }
}

}  // namespace weft::conformance
