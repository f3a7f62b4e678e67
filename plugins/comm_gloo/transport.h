// What moves the bytes of a group (plugins/common/host_group.h): collectives over lanes in the calling thread, messages
// by themselves (postbox.h).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "plugins/comm_gloo/exchange.h"
#include "plugins/comm_gloo/frame.h"
#include "plugins/comm_gloo/postbox.h"
#include "plugins/common/host_group.h"
#include "plugins/common/transport.h"

namespace gloo {
class Context;
namespace transport::tcp {
class Device;
}
}  // namespace gloo

namespace weft::comm_gloo {

using plugins::Operation;

// The connections of an open group.
struct Fabric {
  std::shared_ptr<gloo::transport::tcp::Device> device;
  std::shared_ptr<gloo::Context> lane_mesh;  // outlives the exchange
  plugins::AlignedMemory outbox;             // max_frame bytes; the lanes write from it
  std::unique_ptr<Exchange> exchange;
  std::unique_ptr<Postbox> postbox;
};

class GlooTransport final : public plugins::Transport {
 public:
  // `gather_bytes`: longer all_reduces of more than two ranks go as reduce_scatter and all_gather.
  GlooTransport(const GroupSpec& spec, plugins::Meeting meeting, Fabric fabric, Bytes gather_bytes);
  ~GlooTransport() override;

  Result<Buffer> allocate(Bytes bytes) override;
  Outcome run(const Operation& operation, Deadline deadline) override;
  Outcome post(const plugins::Message& message) override;
  bool holds(std::uint64_t ticket) const override { return fabric_.postbox->peer_of(ticket) >= 0; }
  Outcome wait(std::uint64_t ticket, Deadline deadline) override;
  // Gloo has no such question.
  std::optional<bool> done(std::uint64_t) override { return std::nullopt; }
  std::vector<std::uint64_t> unfinished() const override { return fabric_.postbox->tickets(); }
  std::optional<std::string> reason_of(std::int32_t rank) const override { return meeting_.reason_of(rank); }
  void stop(const Error& why) noexcept override;
  void close() noexcept override;

 private:
  // collectives.cpp
  Outcome run_exchange(const FrameHeader& header, bool always, Deadline deadline, const Take& take);
  Outcome run_reduce(const Operation& operation, std::byte* out, const FrameHeader& header, Deadline deadline);
  Outcome run_gather(const std::byte* own, std::span<const Bytes> lengths, std::byte* out, const FrameHeader& header,
                     Deadline deadline);
  Outcome run_all_reduce(const Operation& operation, FrameHeader header, Deadline deadline);
  Outcome run_all_to_all(const Operation& operation, const FrameHeader& header, Deadline deadline);

  const std::int32_t rank_;
  const std::int32_t size_;
  const plugins::Meeting meeting_;
  Fabric fabric_;
  const Bytes gather_bytes_;
  std::vector<Part> parts_;
  std::vector<Bytes> lengths_;
  std::vector<const std::byte*> sources_;
  std::vector<plugins::AlignedMemory> allocated_;
};

}  // namespace weft::comm_gloo
