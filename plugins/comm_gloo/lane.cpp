#include "plugins/comm_gloo/lane.h"

#include <fmt/format.h>
#include <gloo/transport/buffer.h>
#include <gloo/transport/pair.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <utility>

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

void set_timeout(int fd, int option, Duration timeout) {
  const auto microseconds = std::clamp<std::int64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(timeout).count(), 1000, 86'400'000'000);
  const timeval value{.tv_sec = microseconds / 1'000'000, .tv_usec = microseconds % 1'000'000};
  ::setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value));
}

}  // namespace

struct Lane::Memory {
  // One preamble longer than a frame, because the spin peeks at a frame with its preamble.
  alignas(64) std::byte inbox[max_frame + gloo_preamble];
};

Lane::Lane(Descriptor socket, Limits limits)
    : socket_(std::move(socket)), limits_(limits), memory_(std::make_unique<Memory>()), inbox_(memory_->inbox) {}
Lane::~Lane() = default;

Result<std::unique_ptr<Lane>> Lane::open(gloo::transport::Pair& pair, Descriptor socket, std::byte* outbox,
                                         const FrameHeader& greeting, const FrameHeader& expected, Limits limits,
                                         Deadline deadline) {
  try {
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
  // Where ranks share a core the peer may need it to send; where they do not, asking costs a little each time.
  constexpr Duration selfish = std::chrono::microseconds(5);
  const Time yield_after = Clock::now() + selfish;
  Time spin_until = yield_after - selfish + limits_.spin;
  for (;;) {
    // With MSG_TRUNC the kernel counts without copying.
    const ssize_t there = ::recv(socket_.get(), inbox_, expected, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
    if (there >= static_cast<ssize_t>(expected)) break;
    if (there == 0) return fail(closed());
    if (there < 0 && errno != EAGAIN && errno != EINTR) return fail(closed());
    const Time now = Clock::now();
    if (now < spin_until && now < deadline.at()) {
      if (now >= yield_after) ::sched_yield();
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
