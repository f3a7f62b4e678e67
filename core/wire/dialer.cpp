#include <fmt/format.h>
#include <pthread.h>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "core/wire/convert.h"
#include "core/wire/handshake.h"
#include "core/wire/limits.h"
#include "core/wire/link.h"
#include "core/wire/link_state.h"
#include "core/wire/log_limiter.h"
#include "core/wire/outbox.h"
#include "core/wire/transport.h"

namespace weft::wire {
namespace {

constexpr int receive_batch = 512;
constexpr Duration flush_time = std::chrono::seconds(1);
constexpr LinkId the_link = 1;  // a dialer's outbox has one

Error error_of(ErrorCode code, std::string message) {
  return Error{.code = code, .message = std::move(message), .retryable = false};
}

class DealerDialer final : public Dialer {
 public:
  DealerDialer(DialOptions options, DialerHandler& handler, std::unique_ptr<Transport> transport,
               std::unique_ptr<Outbox> outbox)
      : options_(std::move(options)),
        handler_(handler),
        transport_(std::move(transport)),
        outbox_(std::move(outbox)),
        log_(options_.log) {}

  ~DealerDialer() override {
    outbox_->stop();
    if (thread_.joinable()) thread_.join();
  }

  // Starts the thread and waits for Opened.
  Status start(Deadline deadline);
  Status send(Envelope body) override;

 private:
  enum class Phase { dialing, failed, open, down };

  // All below runs on the dialer's thread.
  void run();
  void turn(Deadline deadline);
  void take_outbox();
  bool receive_some();
  void receive(const Arrival& arrival);
  void receive_answer(const Envelope& envelope);
  void receive_open(const Envelope& envelope);
  void transmit(const Envelope& envelope);
  void pump();
  void end(const Error& why, bool tell_peer);
  void close_in_order();
  void warn(std::string_view what);

  const DialOptions options_;
  DialerHandler& handler_;
  std::unique_ptr<Transport> transport_;
  const std::unique_ptr<Outbox> outbox_;
  LogLimiter log_;
  std::optional<LinkState> state_;  // once open
  std::optional<Error> lost_;       // the link ends with this once all that came over it is received
  Time lost_until_ = Time::max();   // or at this time at the latest
  bool ended_ = false;

  std::mutex mutex_;  // guards phase_ and why_
  std::condition_variable answered_;
  Phase phase_ = Phase::dialing;
  Error why_;  // failed, down
  std::thread thread_;
};

Status DealerDialer::start(Deadline deadline) {
  thread_ = std::thread([this] { run(); });
  std::unique_lock lock(mutex_);
  const auto answered = [this] { return phase_ != Phase::dialing; };
  if (deadline.at() == Time::max()) {
    answered_.wait(lock, answered);  // the caller's choice: until the listener is there
  } else if (!answered_.wait_until(lock, deadline.at(), answered)) {
    phase_ = Phase::failed;
    why_ = error_of(ErrorCode::deadline_exceeded,
                    fmt::format("no answer from {}: is it running, and can this machine reach it?", options_.endpoint));
    why_.retryable = true;
  }
  if (phase_ == Phase::failed) return fail(why_);
  return {};
}

Status DealerDialer::send(Envelope body) {
  auto status = outbox_->push(the_link, std::move(body));
  if (status || status.error().code != ErrorCode::not_found) return status;
  const std::lock_guard lock(mutex_);
  return fail(ErrorCode::unavailable, fmt::format("the link to {} is down: {}", options_.endpoint,
                                                  why_.message.empty() ? "its queue is full" : why_.message));
}

void DealerDialer::run() {
  pthread_setname_np(pthread_self(), options_.name.substr(0, 15).c_str());
  transmit(make_open(options_));
  while (!ended_ && !outbox_->stopping())
    turn(Deadline::never());
  if (!ended_) close_in_order();
  transport_.reset();
}

void DealerDialer::close_in_order() {
  if (!state_) return transport_->set_linger(Duration::zero());
  const Deadline deadline = Deadline::in(flush_time);
  take_outbox();
  while (!ended_ && state_->queued() > 0 && !deadline.passed())
    turn(deadline);
  if (ended_) return;
  if (state_->queued() > 0) warn(fmt::format("closes with {} messages unsent", state_->queued()));
  transport_->send({}, state_->bye(options_.name + " closes"));
  transport_->set_linger(deadline.left());
}

// One round: whatever is there, then a wait for more.
void DealerDialer::turn(Deadline deadline) {
  take_outbox();
  if (ended_) return;
  const bool drained = receive_some();
  if (ended_) return;
  if (transport_->next_disconnect() && !lost_) {
    lost_ = error_of(ErrorCode::unavailable, fmt::format("the connection to {} is lost", options_.endpoint));
    lost_until_ = Clock::now() + options_.limits.dead_after;
    return;  // once more around: what came before it is there now
  }
  if (lost_ && (drained || Clock::now() >= lost_until_)) return end(*lost_, false);
  outbox_->settle();
  transport_->poll(outbox_->fd(), drained && !lost_ ? deadline : Deadline(Time::min()));
}

void DealerDialer::take_outbox() {
  for (Outbox::Item& item : outbox_->take()) {
    if (ended_) return;
    if (item.overflow) {
      end(error_of(ErrorCode::resource_exhausted,
                   fmt::format("{} messages wait for the peer's credit", options_.limits.max_queued)),
          true);
    } else if (state_) {
      state_->enqueue(std::move(item.message));
      pump();
    }
  }
}

// False if there may be more.
bool DealerDialer::receive_some() {
  for (int i = 0; i < receive_batch; ++i) {
    const auto arrival = transport_->receive();
    if (!arrival) return true;
    receive(*arrival);
    if (ended_) return true;
  }
  return false;
}

void DealerDialer::receive(const Arrival& arrival) {
  if (!arrival.defect.empty()) {
    warn(arrival.defect);
    return end(error_of(ErrorCode::data_loss, std::string(arrival.defect)), state_.has_value());
  }
  if (state_) {
    receive_open(arrival.envelope);
  } else {
    receive_answer(arrival.envelope);
  }
}

void DealerDialer::receive_answer(const Envelope& envelope) {
  if (envelope.has_refused()) return end(from_wire(envelope.refused().error()), false);
  if (!envelope.has_opened()) return warn(fmt::format("{} before opened", body_name(envelope)));
  if (const Status status = check_opened(envelope, options_.incarnation); !status) return end(status.error(), false);
  state_.emplace(LinkState::Settings{.incarnation = options_.incarnation,
                                     .epoch = envelope.link_epoch(),
                                     .window = options_.limits.window,
                                     .peer_credit = envelope.credit()});
  outbox_->add_link(the_link);
  const std::lock_guard lock(mutex_);
  if (phase_ == Phase::dialing) phase_ = Phase::open;
  answered_.notify_all();
}

void DealerDialer::receive_open(const Envelope& envelope) {
  const LinkState::Received received = state_->receive(envelope);
  switch (received.verdict) {
    case LinkState::Verdict::deliver: handler_.on_message(envelope); break;
    case LinkState::Verdict::nothing: break;
    case LinkState::Verdict::drop: warn(received.why.message); break;
    case LinkState::Verdict::peer_end: return end(received.why, false);
    case LinkState::Verdict::broken: warn(received.why.message); return end(received.why, true);
  }
  pump();
  if (state_->credit_due()) transmit(state_->credit());
}

void DealerDialer::transmit(const Envelope& envelope) {
  if (transport_->send({}, envelope) == Transport::Sent::done || lost_) return;
  lost_ =
      error_of(ErrorCode::resource_exhausted, fmt::format("{} does not read what is sent to it", options_.endpoint));
  lost_until_ = Clock::now() + options_.limits.dead_after;
}

void DealerDialer::pump() {
  Envelope envelope;
  while (!lost_ && state_->next(envelope)) {
    outbox_->sent(the_link);
    transmit(envelope);
  }
}

void DealerDialer::end(const Error& why, bool tell_peer) {
  ended_ = true;
  outbox_->remove_link(the_link);
  if (tell_peer) transport_->send({}, state_->refused(why));
  if (!tell_peer) transport_->set_linger(Duration::zero());  // nobody is left to hear what is unsent
  bool was_open = false;
  {
    const std::lock_guard lock(mutex_);
    was_open = phase_ == Phase::open;
    if (phase_ == Phase::open) phase_ = Phase::down;
    if (phase_ == Phase::dialing) phase_ = Phase::failed;
    why_ = why;
    answered_.notify_all();
  }
  if (was_open) handler_.on_down(why);
}

void DealerDialer::warn(std::string_view what) {
  log_.write(fmt::format("{}: {}: {}", options_.name, options_.endpoint, what), Clock::now());
}

}  // namespace

Result<std::unique_ptr<Dialer>> Dialer::dial(DialOptions options, DialerHandler& handler, Deadline deadline) {
  const std::string name = options.name;
  WEFT_TRY_CONTEXT(check_limits(options.limits), name);
  WEFT_ASSIGN_CONTEXT(transport, Transport::connect(options.endpoint, options.limits), name);
  WEFT_ASSIGN_CONTEXT(outbox, Outbox::make(options.limits), name);
  auto dialer = std::make_unique<DealerDialer>(std::move(options), handler, std::move(transport), std::move(outbox));
  WEFT_TRY_CONTEXT(dialer->start(deadline), name);
  return dialer;
}

}  // namespace weft::wire
