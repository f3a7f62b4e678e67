#include "plugins/comm_gloo/lane.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gloo/transport/buffer.h>
#include <gloo/transport/pair.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

namespace weft::comm_gloo {
namespace {

// Gloo puts this many bytes before each message (Pair's Op::preamble). Only a hint of when to stop spinning.
constexpr std::size_t gloo_preamble = 48;
constexpr int frame_slot = 0;

Error closed() { return Error{ErrorCode::unavailable, "closed its connection", true}; }
Error late() { return Error{ErrorCode::deadline_exceeded, "did not answer in time", true}; }

Error from_gloo(const std::exception& error) {
  return Error{ErrorCode::unavailable, fmt::format("closed its connection ({})", error.what()), true};
}

bool is_connected_from(int fd, std::span<const char> local) {
  sockaddr_storage name{};
  socklen_t length = sizeof(name);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length) != 0) return false;
  if (length > local.size() || std::memcmp(&name, local.data(), length) != 0) return false;
  length = sizeof(name);
  return ::getpeername(fd, reinterpret_cast<sockaddr*>(&name), &length) == 0;
}

std::vector<int> open_descriptors() {
  std::vector<int> found;
  std::error_code error;
  for (auto entry = std::filesystem::directory_iterator("/proc/self/fd", error);
       !error && entry != std::filesystem::directory_iterator(); entry.increment(error))
    found.push_back(std::atoi(entry->path().filename().c_str()));
  return found;
}

void set_timeout(int fd, int option, Duration timeout) {
  const auto microseconds = std::clamp<std::int64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(timeout).count(), 1000, 86'400'000'000);
  const timeval value{.tv_sec = microseconds / 1'000'000, .tv_usec = microseconds % 1'000'000};
  ::setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value));
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this == &other) return *this;
  if (fd_ >= 0) ::close(fd_);
  fd_ = other.release();
  return *this;
}
Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}
int Descriptor::release() noexcept { return std::exchange(fd_, -1); }

Result<Descriptor> duplicate_socket(std::span<const char> local) {
  std::vector<int> matches = open_descriptors();
  std::erase_if(matches, [&](int fd) { return !is_connected_from(fd, local); });
  if (matches.empty()) return fail(closed());
  if (matches.size() > 1)
    return fail(ErrorCode::internal, fmt::format("{} sockets have the address of Gloo's connection", matches.size()));
  Descriptor copy(::fcntl(matches.front(), F_DUPFD_CLOEXEC, 0));
  // Another thread may have closed that descriptor in between, and its number may be somebody else's now.
  if (copy.get() < 0 || !is_connected_from(copy.get(), local))
    return fail(ErrorCode::resource_exhausted, "cannot duplicate the descriptor of Gloo's connection");
  return copy;
}

struct Lane::Memory {
  // One preamble longer than a frame, because the spin peeks at a frame with its preamble.
  alignas(64) std::byte inbox[max_frame + gloo_preamble];
};

Lane::Lane(Descriptor socket, Limits limits)
    : socket_(std::move(socket)), limits_(limits), memory_(std::make_unique<Memory>()), inbox_(memory_->inbox) {}
Lane::~Lane() = default;

Result<std::unique_ptr<Lane>> Lane::open(gloo::transport::Pair& pair, std::byte* outbox, const FrameHeader& greeting,
                                         const FrameHeader& expected, Limits limits, Deadline deadline) {
  try {
    WEFT_ASSIGN(socket, duplicate_socket(pair.address().bytes()));
    std::unique_ptr<Lane> lane(new Lane(std::move(socket), limits));
    WEFT_TRY(lane->greet(pair, outbox, greeting, expected, deadline));
    return lane;
  } catch (const std::exception& error) {
    return fail(deadline.passed() ? late() : from_gloo(error));
  }
}

Status Lane::greet(gloo::transport::Pair& pair, std::byte* outbox, const FrameHeader& greeting,
                   const FrameHeader& expected, Deadline deadline) {
  const int fd = socket_.get();
  in_ = pair.createRecvBuffer(frame_slot, inbox_, max_frame);
  out_ = pair.createSendBuffer(frame_slot, outbox, max_frame);
  pair.setSync(true, false);
  set_timeout(fd, SO_RCVTIMEO, deadline.left());
  set_timeout(fd, SO_SNDTIMEO, limits_.operation_timeout);
  // Gloo fits the socket's buffer to the longest message so far, and would shrink ours below with the first
  // short ones. A greeting as long as the longest frame settles that.
  std::memset(outbox, 0, max_frame);
  std::memcpy(outbox, &greeting, sizeof(greeting));
  out_->send(0, max_frame);
  const int room = 4 * static_cast<int>(max_frame);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
  in_->waitRecv();
  set_timeout(fd, SO_RCVTIMEO, limits_.operation_timeout);
  if (header() != expected)
    return fail(ErrorCode::refused, "answered its connection with a greeting of another group or rank");
  return {};
}

Status Lane::send(std::size_t frame_bytes) {
  const Time began = Clock::now();
  try {
    out_->send(0, frame_bytes);
    return {};
  } catch (const std::exception& error) {
    return fail(Clock::now() - began >= limits_.operation_timeout ? late() : from_gloo(error));
  }
}

Status Lane::await_writable(Deadline deadline) {
  for (;;) {
    pollfd wanted{.fd = socket_.get(), .events = POLLOUT, .revents = 0};
    const int ready = ::poll(&wanted, 1, deadline.poll_milliseconds());
    if (ready > 0) {
      if ((wanted.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) return fail(closed());
      return {};
    }
    if (ready < 0 && errno != EINTR) return fail(closed());
    if (deadline.passed()) return fail(late());
  }
}

Status Lane::receive(std::size_t frame_bytes, Deadline deadline) {
  const std::size_t expected = frame_bytes + gloo_preamble;
  Time spin_until = Clock::now() + limits_.spin;
  for (;;) {
    // With MSG_TRUNC the kernel counts without copying.
    const ssize_t there = ::recv(socket_.get(), inbox_, expected, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
    if (there >= static_cast<ssize_t>(expected)) break;
    if (there == 0) return fail(closed());
    if (there < 0 && errno != EAGAIN && errno != EINTR) return fail(closed());
    const Time now = Clock::now();
    if (now < spin_until && now < deadline.at()) {
      ::sched_yield();  // where ranks share a core, the peer may need it to send
      continue;
    }
    if (there > 0) break;  // the rest is on its way; Gloo waits for it
    if (now >= deadline.at()) return fail(late());
    pollfd wanted{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&wanted, 1, deadline.poll_milliseconds()) < 0 && errno != EINTR) return fail(closed());
    spin_until = Clock::now() + limits_.spin;
  }
  const Time began = Clock::now();
  try {
    in_->waitRecv();
    return {};
  } catch (const std::exception& error) {
    return fail(Clock::now() - began >= limits_.operation_timeout ? late() : from_gloo(error));
  }
}

bool Lane::has_input() const noexcept {
  std::byte one;
  return ::recv(socket_.get(), &one, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool Lane::peer_closed() const noexcept {
  std::byte one;
  const ssize_t there = ::recv(socket_.get(), &one, 1, MSG_PEEK | MSG_DONTWAIT);
  return there == 0 || (there < 0 && errno != EAGAIN && errno != EINTR);
}

void Lane::shutdown() noexcept { ::shutdown(socket_.get(), SHUT_RDWR); }

}  // namespace weft::comm_gloo
