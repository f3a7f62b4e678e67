// A group as the forward pass uses it: each operation is waited for, and the time spent in them is counted.
#pragma once

#include <chrono>
#include <cstdint>
#include <utility>

#include "weft/communicator.h"
#include "weft/device.h"
#include "weft/status.h"
#include "weft/time.h"

namespace weft::engine {

// One thread. `group` may be null: a group of one rank, whose operations are nothing.
class TimedGroup {
 public:
  TimedGroup(Group* group, Stream stream) noexcept : group_(group), stream_(stream) {}

  Status all_reduce(const TensorView& inout) {
    if (group_ == nullptr) return {};
    return run([&] { return group_->all_reduce(inout.buffer, inout.type, ReduceOp::sum, stream_); });
  }
  Status all_gather(Buffer in, Buffer out, DType type) {
    return run([&] { return group_->all_gather(in, out, type, stream_); });
  }
  Status send(Buffer in, DType type, std::int32_t peer, std::uint32_t tag) {
    return run([&] { return group_->send(in, type, peer, tag, stream_); });
  }
  Status recv(Buffer out, DType type, std::int32_t peer, std::uint32_t tag) {
    return run([&] { return group_->recv(out, type, peer, tag, stream_); });
  }

  // Since the last call.
  double take_seconds() noexcept { return std::exchange(seconds_, 0.0); }

 private:
  template <class Start>
  Status run(Start&& start) {
    const Time began = Clock::now();
    Result<Work> work = start();
    // The group's own operation timeout ends the wait.
    Status status = work ? work->wait(Deadline::never()) : Status(tl::unexpect, std::move(work).error());
    seconds_ += std::chrono::duration<double>(Clock::now() - began).count();
    return status;
  }

  Group* group_;
  Stream stream_;
  double seconds_ = 0;
};

}  // namespace weft::engine
