#include "plugins/comm_shm/communicator.h"

#include <fmt/format.h>

#include <exception>
#include <utility>

#include "plugins/comm_shm/assembly.h"
#include "plugins/comm_shm/transport.h"
#include "plugins/common/group_spec.h"
#include "plugins/common/host_group.h"

namespace weft::comm_shm {
namespace {

// A rank that did not get in: its name, and what it said.
Error explain(const GroupSpec& spec, const Failure& failure, const Peers& peers) {
  Error error = failure.error;
  if (failure.ranks.empty()) return error;
  error.message = fmt::format("{} {}", plugins::member_name(spec, failure.ranks.front()), error.message);
  if (const auto reason = peers.reason_of(failure.ranks.front())) error.message += "; it said: " + *reason;
  return error;
}

}  // namespace

Result<std::unique_ptr<Group>> ShmCommunicator::open(const GroupSpec& spec) {
  const std::string context = fmt::format("shm: group '{}'", spec.id);
  try {
    return open_checked(spec, context);
  } catch (const std::exception& error) {
    return fail(ErrorCode::resource_exhausted, fmt::format("{}: {}", context, error.what()));
  }
}

Result<std::shared_ptr<Watcher>> ShmCommunicator::watcher() {
  const std::lock_guard lock(mutex_);
  auto watcher = watcher_.lock();
  if (!watcher) {
    WEFT_ASSIGN(started, Watcher::start(host_.cpus()));
    watcher_ = watcher = std::move(started);
  }
  return watcher;
}

Result<std::unique_ptr<Group>> ShmCommunicator::open_checked(const GroupSpec& spec, const std::string& context) {
  WEFT_TRY_CONTEXT(plugins::check_spec(spec), context);
  if (spec.size == 1) return std::make_unique<plugins::HostGroup>("shm", spec, std::nullopt, nullptr);
  WEFT_TRY_CONTEXT(Layout::make(spec.size, settings_.memory, settings_.allocate_memory), context);
  const plugins::Meeting meeting("shm/1", spec);
  auto assembly = Assembly::prepare(spec, settings_.memory, settings_.allocate_memory);
  if (!assembly) return fail(annotate(std::move(assembly).error(), context));
  WEFT_ASSIGN_CONTEXT(all, meeting.meet(assembly->details()), context);
  std::unique_ptr<ShmTransport> transport;
  const auto opened = [&]() -> Status {
    WEFT_ASSIGN(made, assembly->gather(all, meeting));
    const Bytes area = made.layout.stride * static_cast<Bytes>(spec.rank);
    WEFT_TRY(made.memory.commit(area, made.layout.heap_at));
    WEFT_ASSIGN(watching, watcher());
    auto peers =
        std::make_unique<Peers>(Segment(made.memory.base(), made.layout), spec.rank, std::move(made.processes));
    Peers& them = *peers;
    transport = std::make_unique<ShmTransport>(ShmTransport::Parts{.memory = std::move(made.memory),
                                                                   .peers = std::move(peers),
                                                                   .watcher = watching,
                                                                   .one_shot = settings_.one_shot});
    WEFT_TRY(watching->watch(them));
    if (const Outcome entered = transport->enter(settings_.spin, spec.deadline); !entered) {
      Error error = explain(spec, entered.error(), them);
      transport->stop(error);
      return fail(std::move(error));
    }
    return {};
  }();
  if (!opened) {
    meeting.leave_reason(opened.error());
    meeting.withdraw();
    return fail(annotate(opened.error(), context));
  }
  return std::make_unique<plugins::HostGroup>("shm", spec, meeting, std::move(transport));
}

}  // namespace weft::comm_shm
