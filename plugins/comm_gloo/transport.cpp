#include "plugins/comm_gloo/transport.h"

#include <fmt/format.h>
#include <gloo/context.h>

#include <optional>
#include <utility>

#include "plugins/comm_gloo/loop.h"
#include "plugins/comm_gloo/pipe_signal.h"

namespace weft::comm_gloo {

static_assert(Postbox::max_bytes == plugins::Arguments::max_message);

GlooTransport::GlooTransport(const GroupSpec& spec, plugins::Meeting meeting, Fabric fabric, Bytes gather_bytes)
    : rank_(spec.rank),
      size_(spec.size),
      meeting_(std::move(meeting)),
      fabric_(std::move(fabric)),
      gather_bytes_(gather_bytes),
      parts_(static_cast<std::size_t>(spec.size)),
      lengths_(parts_.size()),
      sources_(parts_.size()) {}

GlooTransport::~GlooTransport() = default;

Result<Buffer> GlooTransport::allocate(Bytes bytes) {
  plugins::AlignedMemory memory = plugins::allocate_aligned(bytes);
  if (!memory) return fail(ErrorCode::resource_exhausted, fmt::format("cannot allocate {} bytes", bytes));
  allocated_.push_back(std::move(memory));
  return Buffer{.data = allocated_.back().get(), .size = bytes};
}

Outcome GlooTransport::post(const plugins::Message& message) {
  const PipeSignalGuard guard;
  const Status posted =
      message.outgoing
          ? fabric_.postbox->send(message.ticket, message.data, message.peer, message.tag, message.deadline)
          : fabric_.postbox->recv(message.ticket, message.data, message.peer, message.tag, message.deadline);
  if (!posted) return plugins::failed(message.peer, posted.error());
  return {};
}

Outcome GlooTransport::wait(std::uint64_t ticket, Deadline deadline) {
  const std::int32_t peer = fabric_.postbox->peer_of(ticket);
  Status status = fabric_.postbox->wait(ticket, deadline);
  if (!status) return plugins::failed(peer, std::move(status).error());
  return {};
}

void GlooTransport::stop(const Error& why) noexcept {
  // First the reason, then the end: a peer that sees the end looks for the reason.
  meeting_.leave_reason(why);
  fabric_.exchange->shutdown();
  fabric_.postbox->stop();
}

void GlooTransport::close() noexcept {
  std::optional<LoopStirrer> stirrer;
  try {
    stirrer.emplace(fabric_.device);
  } catch (const std::exception&) {  // closing merely takes longer
  }
  fabric_.postbox.reset();
  fabric_.exchange.reset();
  fabric_.lane_mesh.reset();
  fabric_.outbox.reset();
  stirrer.reset();
  fabric_.device.reset();
}

}  // namespace weft::comm_gloo
