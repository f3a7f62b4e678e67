#include <fmt/format.h>
#include <pthread.h>

#include <map>
#include <random>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/wire/handshake.h"
#include "core/wire/limits.h"
#include "core/wire/link.h"
#include "core/wire/link_state.h"
#include "core/wire/log_limiter.h"
#include "core/wire/outbox.h"
#include "core/wire/transport.h"

namespace weft::wire {
namespace {

constexpr int receive_batch = 512;  // arrivals between two looks at the outbox and the timers
constexpr Duration flush_time = std::chrono::seconds(1);

class RouterListener final : public Listener {
 public:
  RouterListener(ListenOptions options, ListenerHandler& handler, std::unique_ptr<Transport> transport,
                 std::unique_ptr<Outbox> outbox)
      : options_(std::move(options)),
        handler_(handler),
        endpoint_(transport->endpoint()),
        transport_(std::move(transport)),
        outbox_(std::move(outbox)),
        log_(options_.log) {
    std::random_device random;
    epochs_ = std::uint64_t{random()} << 32 | random();
  }

  ~RouterListener() override {
    outbox_->stop();
    if (thread_.joinable()) thread_.join();
  }

  void start() {
    handler_.on_bound(*this);
    thread_ = std::thread([this] { run(); });
  }

  const std::string& endpoint() const noexcept override { return endpoint_; }
  Status send(LinkId link, Envelope body) override { return outbox_->push(link, std::move(body)); }
  void close(LinkId link, const std::string& reason) override {
    post([this, link, reason] {
      end(link, Error{.code = ErrorCode::cancelled, .message = reason, .retryable = false}, Notice::bye);
    });
  }
  void post(std::function<void()> task) override { outbox_->post(std::move(task)); }
  void post_at(Time at, std::function<void()> task) override {
    post([this, at, task = std::move(task)]() mutable { timers_.emplace(at, std::move(task)); });
  }

 private:
  struct Link {
    Peer peer;
    std::string route;
    int descriptor = -1;
    LinkState state;
    bool quiet = true;  // nothing was sent since the last sweep
  };
  enum class Notice { none, bye, error };  // what the peer is told

  // All below runs on the listener's thread.
  void run();
  void turn(Deadline deadline);
  void take_outbox();
  void run_timers();
  bool receive_some();
  void receive(Arrival arrival);
  void receive_unlinked(const Arrival& arrival);
  void open(const Arrival& arrival);
  void receive_on(Link& link, const Envelope& envelope);
  bool transmit(Link& link, const Envelope& envelope);
  void pump(Link& link);
  void sweep();
  void note_disconnects();
  void end_lost();
  void end(LinkId id, const Error& why, Notice notice);
  bool flushed() const;
  void warn(std::string_view who, std::string_view what);

  const ListenOptions options_;
  ListenerHandler& handler_;
  const std::string endpoint_;
  std::unique_ptr<Transport> transport_;
  const std::unique_ptr<Outbox> outbox_;
  LogLimiter log_;
  std::uint64_t epochs_ = 0;  // a link's epoch is this and its id, so no other listener's is taken for it
  LinkId last_link_ = 0;
  std::unordered_map<LinkId, Link> links_;
  std::unordered_map<std::string, LinkId> routes_;
  std::multimap<Time, std::function<void()>> timers_;
  std::vector<std::pair<LinkId, Error>> lost_;  // to be ended once all that came over them is received
  Time lost_until_ = Time::max();               // or at this time at the latest
  Time next_sweep_{};
  std::thread thread_;
};

void RouterListener::run() {
  pthread_setname_np(pthread_self(), options_.name.substr(0, 15).c_str());
  next_sweep_ = Clock::now() + options_.limits.dead_after / 2;
  while (!outbox_->stopping())
    turn(Deadline::never());
  const Deadline deadline = Deadline::in(flush_time);
  take_outbox();
  while (!flushed() && !deadline.passed())
    turn(deadline);
  while (!links_.empty()) {
    end(links_.begin()->first,
        Error{.code = ErrorCode::cancelled, .message = options_.name + " closes", .retryable = false}, Notice::bye);
  }
  transport_.reset();
}

// One round: whatever is there, then a wait for more.
void RouterListener::turn(Deadline deadline) {
  take_outbox();
  run_timers();
  sweep();
  note_disconnects();
  // Whatever came over a connection that has ended is there by now, so links end only after it is received.
  const bool drained = receive_some();
  if (drained || Clock::now() >= lost_until_) end_lost();
  outbox_->settle();
  Time wake = std::min(next_sweep_, deadline.at());
  if (!timers_.empty()) wake = std::min(wake, timers_.begin()->first);
  if (!drained) wake = Time::min();
  transport_->poll(outbox_->fd(), Deadline(wake));
}

void RouterListener::take_outbox() {
  for (Outbox::Item& item : outbox_->take()) {
    if (item.task) {
      item.task();
      continue;
    }
    const auto found = links_.find(item.link);
    if (found == links_.end()) continue;
    if (item.overflow) {
      end(item.link,
          Error{.code = ErrorCode::resource_exhausted,
                .message = fmt::format("{} messages wait for the peer's credit", options_.limits.max_queued),
                .retryable = false},
          Notice::error);
      continue;
    }
    found->second.state.enqueue(std::move(item.message));
    pump(found->second);
  }
}

void RouterListener::run_timers() {
  const Time now = Clock::now();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    const auto node = timers_.extract(timers_.begin());
    node.mapped()();
  }
}

// False if there may be more.
bool RouterListener::receive_some() {
  for (int i = 0; i < receive_batch; ++i) {
    auto arrival = transport_->receive();
    if (!arrival) return true;
    receive(std::move(*arrival));
  }
  return false;
}

void RouterListener::receive(Arrival arrival) {
  const auto route = routes_.find(arrival.route);
  if (route == routes_.end()) return receive_unlinked(arrival);
  Link& link = links_.at(route->second);
  if (arrival.defect.empty()) return receive_on(link, arrival.envelope);
  warn(describe(link.peer), arrival.defect);
  end(link.peer.link, Error{.code = ErrorCode::data_loss, .message = std::string(arrival.defect), .retryable = false},
      Notice::error);
}

void RouterListener::receive_unlinked(const Arrival& arrival) {
  if (!arrival.defect.empty()) return warn(arrival.address, arrival.defect);
  if (arrival.envelope.has_open()) return open(arrival);
  warn(arrival.address, fmt::format("{} outside an open link", body_name(arrival.envelope)));
}

void RouterListener::open(const Arrival& arrival) {
  // A connection that ended before this one has freed its descriptor's number; see it first.
  note_disconnects();
  const Envelope& envelope = arrival.envelope;
  const auto refuse = [&](const Error& why) {
    warn(arrival.address, fmt::format("open of rank {} refused: {}", envelope.open().rank(), to_string(why)));
    transport_->send(arrival.route, make_refused(why));
  };
  const auto version = check_open(envelope, options_.token);
  if (!version) return refuse(version.error());
  const Peer peer{.link = ++last_link_,
                  .role = envelope.open().role(),
                  .rank = envelope.open().rank(),
                  .incarnation = envelope.incarnation()};
  outbox_->add_link(peer.link);
  if (const Status status = handler_.on_open(peer); !status) {
    outbox_->remove_link(peer.link);
    return refuse(status.error());
  }
  std::uint64_t epoch = epochs_ + peer.link;
  if (epoch == 0) epoch = epochs_ = 1;
  const std::uint64_t window = options_.limits.window;
  const Envelope opened = make_opened(*version, epoch, peer.incarnation, window);
  Link& link = links_
                   .emplace(peer.link, Link{.peer = peer,
                                            .route = arrival.route,
                                            .descriptor = arrival.descriptor,
                                            .state = LinkState({.incarnation = peer.incarnation,
                                                                .epoch = epoch,
                                                                .window = window,
                                                                .peer_credit = envelope.credit()})})
                   .first->second;
  routes_.emplace(arrival.route, peer.link);
  transmit(link, opened);
}

void RouterListener::receive_on(Link& link, const Envelope& envelope) {
  const LinkState::Received received = link.state.receive(envelope);
  const Peer peer = link.peer;
  switch (received.verdict) {
    case LinkState::Verdict::deliver: handler_.on_message(peer, envelope); break;
    case LinkState::Verdict::nothing: break;
    case LinkState::Verdict::drop: warn(describe(peer), received.why.message); break;
    case LinkState::Verdict::peer_end: return end(peer.link, received.why, Notice::none);
    case LinkState::Verdict::broken:
      warn(describe(peer), received.why.message);
      return end(peer.link, received.why, Notice::error);
  }
  pump(link);
  if (link.state.credit_due()) transmit(link, link.state.credit());
}

// False: the connection has gone, and the link will be ended.
bool RouterListener::transmit(Link& link, const Envelope& envelope) {
  link.quiet = false;
  const Transport::Sent sent = transport_->send(link.route, envelope);
  if (sent == Transport::Sent::done) return true;
  const bool gone = sent == Transport::Sent::no_peer;
  lost_.emplace_back(link.peer.link,
                     Error{.code = gone ? ErrorCode::unavailable : ErrorCode::resource_exhausted,
                           .message = gone ? "the connection is lost" : "the peer does not read what is sent to it",
                           .retryable = false});
  lost_until_ = std::min(lost_until_, Clock::now() + options_.limits.dead_after);
  return false;
}

void RouterListener::pump(Link& link) {
  Envelope envelope;
  while (link.state.next(envelope)) {
    outbox_->sent(link.peer.link);
    if (!transmit(link, envelope)) return;
  }
}

// Sends something on every link that was quiet: a connection whose end we have not heard of shows.
void RouterListener::sweep() {
  const Time now = Clock::now();
  if (now < next_sweep_) return;
  next_sweep_ = now + options_.limits.dead_after / 2;
  for (auto& [id, link] : links_) {
    if (link.quiet) transmit(link, link.state.credit());
    link.quiet = true;
  }
}

void RouterListener::note_disconnects() {
  while (const auto descriptor = transport_->next_disconnect()) {
    for (const auto& [id, link] : links_) {
      if (link.descriptor != *descriptor) continue;
      lost_.emplace_back(
          id, Error{.code = ErrorCode::unavailable, .message = "the connection is lost", .retryable = false});
      lost_until_ = std::min(lost_until_, Clock::now() + options_.limits.dead_after);
    }
  }
}

void RouterListener::end_lost() {
  lost_until_ = Time::max();
  for (const auto& [id, why] : std::exchange(lost_, {}))
    end(id, why, Notice::none);
}

void RouterListener::end(LinkId id, const Error& why, Notice notice) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  Link link = std::move(found->second);
  links_.erase(found);
  routes_.erase(link.route);
  outbox_->remove_link(id);
  if (notice == Notice::bye) transport_->send(link.route, link.state.bye(why.message));
  if (notice == Notice::error) transport_->send(link.route, link.state.refused(why));
  if (link.state.queued() > 0) {
    warn(describe(link.peer), fmt::format("link ends with {} messages unsent", link.state.queued()));
  }
  handler_.on_down(link.peer, why);
}

bool RouterListener::flushed() const {
  for (const auto& [id, link] : links_) {
    if (link.state.queued() > 0) return false;
  }
  return true;
}

void RouterListener::warn(std::string_view who, std::string_view what) {
  log_.write(fmt::format("{}: {}: {}", options_.name, who, what), Clock::now());
}

}  // namespace

Result<std::unique_ptr<Listener>> Listener::bind(ListenOptions options, ListenerHandler& handler) {
  WEFT_TRY_CONTEXT(check_limits(options.limits), options.name);
  if (options.token.empty()) {
    return fail(ErrorCode::invalid_argument, options.name + ": an empty token would let anyone in");
  }
  WEFT_ASSIGN_CONTEXT(transport, Transport::bind(options.endpoint, options.limits), options.name);
  WEFT_ASSIGN_CONTEXT(outbox, Outbox::make(options.limits), options.name);
  auto listener =
      std::make_unique<RouterListener>(std::move(options), handler, std::move(transport), std::move(outbox));
  listener->start();
  return listener;
}

}  // namespace weft::wire
