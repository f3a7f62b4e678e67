#include "plugins/comm_gloo/communicator.h"

#include <fmt/format.h>
#include <gloo/context.h>
#include <gloo/transport/pair.h>

#include <algorithm>
#include <utility>

#include "plugins/comm_gloo/address.h"
#include "plugins/comm_gloo/loop.h"
#include "plugins/comm_gloo/pipe_signal.h"
#include "plugins/comm_gloo/rendezvous.h"
#include "plugins/common/group_spec.h"

namespace weft::comm_gloo {
Result<std::unique_ptr<Group>> GlooCommunicator::open(const GroupSpec& spec) {
  const std::string context = fmt::format("gloo: group '{}'", spec.id);
  try {
    return open_checked(spec, context);
  } catch (const std::exception& error) {  // memory; what Gloo throws is caught nearer
    return fail(ErrorCode::resource_exhausted, fmt::format("{}: {}", context, error.what()));
  }
}

Result<std::unique_ptr<Group>> GlooCommunicator::open_checked(const GroupSpec& spec, const std::string& context) {
  WEFT_TRY_CONTEXT(plugins::check_spec(spec), context);
  if (spec.size == 1) return std::make_unique<plugins::HostGroup>("gloo", spec, std::nullopt, nullptr);
  const PipeSignalGuard guard;
  // Before the meeting: a rank that comes and goes again is missed by those that look for it a moment later.
  WEFT_ASSIGN_CONTEXT(device, device_for(spec), context);
  const plugins::Meeting meeting("gloo/1", spec);
  WEFT_TRY_CONTEXT(meeting.meet(""), context);
  auto built = build(spec, meeting.prefix(), std::move(device));
  if (!built) {
    meeting.leave_reason(built.error());
    meeting.withdraw();
    return fail(annotate(std::move(built).error(), context));
  }
  return std::make_unique<plugins::HostGroup>(
      "gloo", spec, meeting, std::make_unique<GlooTransport>(spec, meeting, std::move(*built), settings_.gather_bytes));
}

Result<std::shared_ptr<gloo::transport::tcp::Device>> GlooCommunicator::device_for(const GroupSpec& spec) {
  std::string address = settings_.address.empty() ? spec.address : settings_.address;
  if (address.empty()) address = route_address();
  const std::string& key = settings_.interface.empty() ? address : settings_.interface;
  const std::lock_guard lock(mutex_);
  auto& device = devices_[key];
  if (!device) {
    WEFT_ASSIGN(made, make_device(settings_.interface, address, host_.cpus()));
    device = std::move(made);
    if (host_.log_enabled(LogLevel::debug)) host_.log(LogLevel::debug, fmt::format("listening on {}", device->str()));
  }
  return device;
}

Result<Fabric> GlooCommunicator::build(const GroupSpec& spec, const std::string& prefix,
                                       std::shared_ptr<gloo::transport::tcp::Device> device) {
  const LoopStirrer stirrer(device);
  Fabric fabric;
  fabric.device = device;
  fabric.outbox = plugins::allocate_aligned(max_frame);
  if (!fabric.outbox) return fail(ErrorCode::resource_exhausted, "no memory for the group's buffers");
  WEFT_ASSIGN(lane_mesh, connect(spec, prefix, "lanes", device));
  fabric.lane_mesh = lane_mesh.context;

  WEFT_ASSIGN(message_mesh, connect(spec, prefix, "messages", device));
  WEFT_ASSIGN(postbox, Postbox::open(std::move(message_mesh.context), device, std::move(message_mesh.sockets)));
  fabric.postbox = std::move(postbox);

  // The greetings come last: a rank has heard all of them only when all ranks have their connections, so what one that
  // is done does then, closing too, disturbs nobody's open.
  const Lane::Limits limits{.spin = settings_.spin, .operation_timeout = spec.operation_timeout};
  std::vector<std::unique_ptr<Lane>> lanes(static_cast<std::size_t>(spec.size));
  const auto greeting = [&](std::int32_t rank) {
    return FrameHeader{.kind = Kind::hello,
                       .root = rank,
                       .total = static_cast<Bytes>(spec.size),
                       .offset = std::hash<std::string>{}(spec.id)};
  };
  for (std::int32_t peer = 0; peer < spec.size; ++peer) {
    if (peer == spec.rank) continue;
    const std::string who = plugins::member_name(spec, peer);
    Descriptor& socket = lane_mesh.sockets[static_cast<std::size_t>(peer)];
    WEFT_ASSIGN_CONTEXT(lane,
                        Lane::open(*fabric.lane_mesh->getPair(peer), std::move(socket), fabric.outbox.get(),
                                   greeting(spec.rank), greeting(peer), limits, spec.deadline),
                        who);
    lanes[static_cast<std::size_t>(peer)] = std::move(lane);
  }
  fabric.exchange = std::make_unique<Exchange>(spec.rank, std::move(lanes), fabric.outbox.get());
  return fabric;
}

}  // namespace weft::comm_gloo
