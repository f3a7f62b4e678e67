// What a communicator for host memory has beneath its Group (host_group.h): how the bytes of one group move.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "plugins/common/call.h"
#include "weft/communicator.h"

namespace weft::plugins {

// An operation that failed, and the ranks whose silence or end was the reason; none: none in particular.
struct Failure {
  Error error;  // without the ranks' names
  std::vector<std::int32_t> ranks = {};
};
using Outcome = tl::expected<void, Failure>;

inline tl::unexpected<Failure> failed(std::int32_t rank, Error error) {
  return tl::unexpected<Failure>(Failure{std::move(error), {rank}});
}

// A collective, its arguments checked.
struct Operation {
  Call call;
  DType type = DType::u8;
  ReduceOp op = ReduceOp::sum;
  Buffer in;  // == out where one buffer is both
  Buffer out;
  std::span<const Bytes> in_parts;  // of all_to_all and all_to_all_v: bytes for and from each rank
  std::span<const Bytes> out_parts;
};

// Bytes to or from one peer, 1 or more; arguments checked.
struct Message {
  std::uint64_t ticket = 0;  // tickets rise
  Buffer data;               // lent until wait() has returned ok, or the transport is gone
  std::int32_t peer = 0;
  std::uint32_t tag = 0;
  bool outgoing = false;
  Deadline deadline{Time::max()};  // of its own, whatever wait() says
};

// One rank's end of a group of two or more. One thread at a time, but for stop(). Its destructor leaves neither threads
// nor connections.
class Transport {
 public:
  virtual ~Transport() = default;

  virtual Result<Buffer> allocate(Bytes bytes) = 0;
  // Carries a collective out.
  virtual Outcome run(const Operation& operation, Deadline deadline) = 0;

  virtual Outcome post(const Message& message) = 0;
  // Whether that ticket is of a message that has not been waited for to its end.
  virtual bool holds(std::uint64_t ticket) const = 0;
  // Waits for a message that it holds.
  virtual Outcome wait(std::uint64_t ticket, Deadline deadline) = 0;
  // Whether a message is done, where that can be told without waiting; nullopt where it cannot.
  virtual std::optional<bool> done(std::uint64_t ticket) = 0;
  // All that it holds.
  virtual std::vector<std::uint64_t> unfinished() const = 0;

  // What a rank said when its end broke.
  virtual std::optional<std::string> reason_of(std::int32_t rank) const = 0;
  // Ends what is under way on this rank and lets the peers know why. Any thread, idempotent.
  virtual void stop(const Error& why) noexcept = 0;
  // Nothing of the group is left afterwards but memory that allocate() gave. No other call follows.
  virtual void close() noexcept = 0;
};

}  // namespace weft::plugins
