#include "worker/head_link.h"

#include <pthread.h>

#include "core/wire/convert.h"

namespace weft::worker {

Result<std::unique_ptr<HeadLink>> HeadLink::join(const Environment& environment, Deadline deadline) {
  std::unique_ptr<HeadLink> link(new HeadLink());
  link->store_ = std::make_unique<store::RemoteStore>(
      [raw = link.get()](wire::Envelope body) { return raw->send(std::move(body)); });
  WEFT_ASSIGN_CONTEXT(dialer,
                      wire::Dialer::dial({.name = "head-link",
                                          .endpoint = environment.head,
                                          .token = environment.token,
                                          .role = wire::ROLE_WORKER,
                                          .rank = environment.rank,
                                          .incarnation = environment.incarnation,
                                          .log = [](std::string text) { log::warn("link", "{}", text); }},
                                         *link, deadline),
                      "head");
  {
    const std::lock_guard lock(link->mutex_);
    link->dialer_ = std::move(dialer);
  }
  return link;
}

HeadLink::~HeadLink() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
  store_->fail({ErrorCode::unavailable, "the link to the head was closed"});
  if (thread_.joinable()) thread_.join();
  dialer_.reset();
}

Status HeadLink::send(wire::Envelope envelope) {
  if (dialer_ == nullptr) return fail(ErrorCode::unavailable, "not joined");
  return dialer_->send(std::move(envelope));
}

void HeadLink::phase(wire::Phase phase) {
  {
    const std::lock_guard lock(mutex_);
    phase_ = phase.kind();
  }
  wire::Envelope envelope;
  *envelope.mutable_phase() = std::move(phase);
  (void)send(std::move(envelope));
}

void HeadLink::failure(const Error& error) {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(told_failure_, true)) return;
  }
  wire::Envelope envelope;
  *envelope.mutable_failure()->mutable_error() = wire::to_wire(error);
  (void)send(std::move(envelope));
}

void HeadLink::start_events(Duration lease, const Progress& progress) {
  thread_ = std::thread([this, interval = lease / 3, &progress] { run_events(interval, progress); });
  (void)pthread_setname_np(thread_.native_handle(), "head-events");
}

void HeadLink::run_events(Duration interval, const Progress& progress) {
  Time next_beat = Clock::now();
  std::unique_lock lock(mutex_);
  const auto has_something = [&] { return ended_ || (has_listener_ && !events_.empty()); };
  while (!ended_) {
    if (has_listener_ && !events_.empty()) {
      auto events = std::exchange(events_, {});
      lock.unlock();
      hand_over(std::move(events));
      lock.lock();
    } else if (down_) {
      changed_.wait(lock, has_something);  // nobody to beat for; the destructor ends it
    } else if (Clock::now() < next_beat) {
      changed_.wait_until(lock, next_beat, has_something);
    } else {
      lock.unlock();
      beat(progress);
      lock.lock();
      next_beat = Clock::now() + interval;
    }
  }
}

void HeadLink::beat(const Progress& progress) {
  wire::Envelope envelope;
  {
    const std::lock_guard lock(mutex_);
    envelope.mutable_heartbeat()->set_phase(phase_);
  }
  envelope.mutable_heartbeat()->set_step(progress.step.load(std::memory_order_relaxed));
  envelope.mutable_heartbeat()->set_layer(
      static_cast<std::int32_t>(progress.layers.load(std::memory_order_relaxed) & 0x7fffffff));
  envelope.mutable_heartbeat()->set_busy(progress.busy.load(std::memory_order_relaxed));
  (void)send(std::move(envelope));  // a lost link is told by on_down
}

void HeadLink::hand_over(std::deque<std::optional<wire::Envelope>> events) {
  const std::lock_guard lock(listener_mutex_);
  for (auto& event : events)
    if (listener_) listener_(std::move(event));
}

void HeadLink::set_listener(std::function<void(std::optional<wire::Envelope>)> listener) {
  const bool has = static_cast<bool>(listener);
  {
    const std::lock_guard lock(listener_mutex_);
    listener_ = std::move(listener);
  }
  const std::lock_guard lock(mutex_);
  has_listener_ = has;
  changed_.notify_all();
}

Result<wire::Assign> HeadLink::assignment(Deadline deadline) {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_until(lock, deadline.at(), [&] { return assign_ || down_; }))
    return fail(ErrorCode::deadline_exceeded, "the head has not answered Hello with an Assign");
  if (!assign_) return fail(annotate(*down_, "head"));
  return *assign_;
}

void HeadLink::on_message(const wire::Envelope& envelope) {
  if (store_->handle(envelope)) return;
  const std::lock_guard lock(mutex_);
  if (envelope.has_assign()) {
    assign_ = envelope.assign();
    changed_.notify_all();
  } else if (envelope.has_stop() || envelope.has_settle() || envelope.has_drain()) {
    events_.emplace_back(envelope);
    changed_.notify_all();
  } else {
    log::warn("link", "a message of kind {} from the head was dropped", static_cast<int>(envelope.body_case()));
  }
}

void HeadLink::on_down(const Error& why) {
  store_->fail(annotate(why, "head"));
  const std::lock_guard lock(mutex_);
  down_ = why;
  events_.emplace_back(std::nullopt);
  changed_.notify_all();
}

}  // namespace weft::worker
