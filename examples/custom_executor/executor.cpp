#include "executor.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <utility>

namespace remote {
namespace {

using weft::Deadline;
using weft::Duration;
using weft::ErrorCode;
using weft::Exit;
using weft::fail;
using weft::GangId;
using weft::LogLevel;
using weft::Status;
using weft::Time;

// Between an agent's last word and the end of its transport: ssh closes its connection in that time.
constexpr Duration farewell = std::chrono::seconds(2);

std::string text_of(const GangId& gang) { return gang.id + "/" + std::to_string(gang.incarnation); }

}  // namespace

RemoteExecutor::RemoteExecutor(Settings settings, weft::HostServices& host)
    : settings_(std::move(settings)), host_(host), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  thread_ = std::thread([this] { run(); });
  (void)pthread_setname_np(thread_.native_handle(), "executor-remote");
}

RemoteExecutor::~RemoteExecutor() {
  (void)close();
  ::close(wake_);
}

// ---- callers ----

weft::Result<weft::Inventory> RemoteExecutor::inventory(Deadline deadline) {
  {
    const std::lock_guard lock(mutex_);
    if (inventory_) return *inventory_;
  }
  // On the caller's thread, which may be ours, inside a sink: nothing here waits for ours.
  WEFT_ASSIGN(found, ask_nodes(settings_, deadline));
  const std::lock_guard lock(mutex_);
  inventory_ = found;
  return found;
}

Status RemoteExecutor::launch(const weft::GangSpec& spec, weft::GangSink& sink) {
  WEFT_TRY(check_spec(spec, settings_));
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return fail(ErrorCode::failed_precondition, "the executor is closed");
    if (!names_.emplace(spec.gang.id, spec.gang.incarnation).second)
      return fail(ErrorCode::already_exists, "gang " + spec.gang.id + " lives; stop it and wait for its exits first");
    orders_.push_back({.spec = spec, .sink = &sink});
  }
  wake();
  return {};
}

Status RemoteExecutor::stop(const GangId& gang, Duration grace) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = names_.find(gang.id);
    const bool lives = found != names_.end() && found->second == gang.incarnation;
    if (!lives && closing_) return fail(ErrorCode::failed_precondition, "the executor is closed");
    if (!lives) return fail(ErrorCode::not_found, "no gang " + text_of(gang));
    orders_.push_back({.spec = {.gang = gang, .ranks = {}}, .grace = std::max(grace, Duration::zero())});
  }
  wake();
  return {};
}

Status RemoteExecutor::close() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake();
  const std::lock_guard lock(join_mutex_);
  if (!thread_.joinable()) return {};
  if (thread_.get_id() == std::this_thread::get_id())
    return fail(ErrorCode::failed_precondition, "close() cannot be called from a sink");
  thread_.join();
  return {};
}

void RemoteExecutor::wake() const {
  const std::uint64_t one = 1;
  (void)!write(wake_, &one, sizeof one);  // a full counter wakes as well
}

// ---- the thread ----

void RemoteExecutor::run() {
  sigset_t all;
  sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, nullptr);  // the program's signals are its own threads'
  bool closed = false;
  for (;;) {
    std::deque<Order> orders;
    bool closing = false;
    {
      const std::lock_guard lock(mutex_);
      orders.swap(orders_);
      closing = closing_;
      if (closing && orders.empty() && gangs_.empty()) return;
    }
    for (Order& order : orders) {
      if (order.sink != nullptr)
        begin(std::move(order), closing);
      else
        end(order.spec.gang, order.grace);
    }
    if (closing && !closed)  // no order comes after this one: launch() refuses
      for (const auto& gang : gangs_)
        end(*gang, Duration::zero(), "the executor was closed before all of its ranks had started");
    closed = closing;
    for (const auto& gang : gangs_)
      advance(*gang);
    tell_exits();
    if (!closing || !gangs_.empty()) wait();
  }
}

void RemoteExecutor::begin(Order order, bool closing) {
  Gang& gang = *gangs_.emplace_back(std::make_unique<Gang>());
  gang.id = order.spec.gang;
  gang.sink = order.sink;
  gang.start_by = Deadline::in(settings_.connect_timeout).at();
  for (const weft::RankSpec& rank : order.spec.ranks)
    if (closing)
      gang.ranks.emplace_back().number = rank.rank;
    else
      begin_rank(gang, order.spec, rank);
}

void RemoteExecutor::begin_rank(Gang& gang, const weft::GangSpec& spec, const weft::RankSpec& rank) {
  Rank& made = gang.ranks.emplace_back();
  made.number = rank.rank;
  made.node = rank.node.empty() ? &emptiest_node() : settings_.find(rank.node);
  weft::Result<std::unique_ptr<Transport>> transport = Transport::start(settings_.agent_command(*made.node));
  if (!transport) {
    made.exit = Exit{.cause = Exit::Cause::never_started, .value = 0, .detail = transport.error().message};
    return;
  }
  made.transport = std::move(*transport);
  made.transport->send(launch_line(spec, rank));
}

// Of the nodes that the caller leaves to us, the one with the fewest ranks; the first of several.
const NodeSettings& RemoteExecutor::emptiest_node() const {
  std::map<const NodeSettings*, std::size_t> ranks;
  for (const auto& gang : gangs_)
    for (const Rank& rank : gang->ranks)
      if (rank.node != nullptr && !rank.over()) ++ranks[rank.node];
  const NodeSettings* best = &settings_.nodes.front();
  for (const NodeSettings& node : settings_.nodes)
    if (ranks[&node] < ranks[best]) best = &node;
  return *best;
}

void RemoteExecutor::end(const GangId& id, Duration grace) {
  for (const auto& gang : gangs_)
    if (gang->id == id) end(*gang, grace, "it was stopped before all of its ranks had started");
}

void RemoteExecutor::end(Gang& gang, Duration grace, const std::string& why_not_placed) {
  if (!gang.placed && gang.failure.empty()) gang.failure = why_not_placed;
  for (Rank& rank : gang.ranks)
    end_rank(rank, grace);
}

// A second time is well: the agent takes the shorter grace, and so do we. A rank that has not said that it started gets none:
// its transport may never connect. Should the agent be about to start it, it reads this and the end of its input next.
void RemoteExecutor::end_rank(Rank& rank, Duration grace) const {
  if (rank.over()) return;
  if (!rank.started) grace = Duration::zero();
  rank.transport->send(stop_line(grace));
  rank.ready = true;
  if (!rank.started) rank.transport->end_input();
  const Time killed = Deadline::in(grace).at();
  if (killed < Time::max() - settings_.answer_timeout)
    rank.cut_at = std::min(rank.cut_at, killed + settings_.answer_timeout);
}

void RemoteExecutor::advance(Gang& gang) {
  for (Rank& rank : gang.ranks)
    advance_rank(gang, rank);
  if (!gang.placed && gang.failure.empty()) place_if_started(gang);
}

void RemoteExecutor::advance_rank(Gang& gang, Rank& rank) {
  if (rank.over()) return;
  Transport& transport = *rank.transport;
  if (std::exchange(rank.ready, false)) transport.pump();
  while (const std::optional<std::string> line = transport.next_line())
    hear(gang, rank, *line);
  if (!transport.ended()) {
    const Time now = weft::Clock::now();
    if (rank.exit || transport.output_ended()) rank.cut_at = std::min(rank.cut_at, now + farewell);
    if (rank.cut || now < rank.cut_at) return;
    rank.cut = true;
    return transport.kill();
  }
  // An agent says one last thing, the exit. Without it nobody knows; its rank ends with its input.
  if (!rank.exit)
    rank.exit =
        Exit{.cause = rank.started ? Exit::Cause::node_lost : Exit::Cause::never_started,
             .value = 0,
             .detail = "node " + rank.node->name + ": " + (rank.cut ? "no answer; " : "") + transport.end_text()};
  rank.transport.reset();
}

void RemoteExecutor::hear(const Gang& gang, Rank& rank, const std::string& line) const {
  AgentEvent event = read_event(line);
  const std::string who = text_of(gang.id) + " rank " + std::to_string(rank.number) + " on " + rank.node->name;
  switch (event.kind) {
    case AgentEvent::Kind::started:
      rank.started = true;
      rank.pid = event.pid;
      return;
    case AgentEvent::Kind::exit:
      if (!rank.exit) rank.exit = std::move(event.exit);
      return;
    case AgentEvent::Kind::error: return host_.log(LogLevel::warn, who + ": its agent says: " + event.detail);
    case AgentEvent::Kind::node:
    case AgentEvent::Kind::noise: break;  // a login shell may greet
  }
  if (host_.log_enabled(LogLevel::debug)) host_.log(LogLevel::debug, who + ": " + line.substr(0, 200));
}

// The gang stands or falls here: with the last rank that starts, the first that cannot, or the time.
void RemoteExecutor::place_if_started(Gang& gang) {
  std::vector<weft::Placement> placements;
  std::string silent;
  for (const Rank& rank : gang.ranks) {
    const std::string name = "rank " + std::to_string(rank.number);
    if (!rank.started && rank.over()) return end(gang, Duration::zero(), name + ": " + rank.exit->detail);
    if (!rank.started) silent += (silent.empty() ? "" : ", ") + name + " on node " + rank.node->name;
    placements.push_back(
        {.rank = rank.number, .node = rank.node->name, .address = rank.node->address, .pid = rank.pid, .devices = {}});
  }
  if (silent.empty()) {
    gang.placed = true;
    gang.sink->on_placed(gang.id, placements);
  } else if (Deadline(gang.start_by).passed()) {
    end(gang, Duration::zero(), "no word of the agent of " + silent + " (option connect_timeout)");
  }
}

bool RemoteExecutor::Gang::ended() const {
  return std::all_of(ranks.begin(), ranks.end(), [](const Rank& rank) { return rank.told; });
}

// A gang that was placed tells each rank's end as it comes; one that was not tells all of them once nothing of it is left.
void RemoteExecutor::tell_exits() {
  std::vector<Telling> tellings;
  for (const auto& gang : gangs_) {
    const bool nothing_left =
        std::all_of(gang->ranks.begin(), gang->ranks.end(), [](const Rank& rank) { return rank.over(); });
    if (!gang->placed && !(nothing_left && !gang->failure.empty())) continue;
    for (Rank& rank : gang->ranks) {
      if (rank.told || !rank.over()) continue;
      rank.told = true;
      const Exit none{.cause = Exit::Cause::never_started, .value = 0, .detail = gang->failure};
      tellings.push_back({gang->sink, gang->id, rank.number, gang->placed ? *rank.exit : none});
    }
  }
  {
    // The name is free before the last exit is told, so that a sink may launch the next incarnation at once.
    const std::lock_guard lock(mutex_);
    for (const auto& gang : gangs_)
      if (gang->ended()) names_.erase(gang->id.id);
  }
  gangs_.erase(std::remove_if(gangs_.begin(), gangs_.end(), [](const auto& gang) { return gang->ended(); }),
               gangs_.end());
  for (const Telling& telling : tellings)
    telling.sink->on_exit(telling.gang, telling.rank, telling.exit);
}

// Marks the ranks whose transports have something to say: with many gangs most have nothing.
void RemoteExecutor::wait() {
  std::vector<pollfd> entries{{wake_, POLLIN, 0}};
  std::vector<std::pair<std::size_t, Rank*>> ends;  // where each rank's entries end
  Time until = Time::max();
  for (const auto& gang : gangs_) {
    if (!gang->placed && gang->failure.empty()) until = std::min(until, gang->start_by);
    for (Rank& rank : gang->ranks) {
      if (rank.over()) continue;
      if (!rank.cut) until = std::min(until, rank.cut_at);
      rank.transport->poll_entries(entries);
      ends.emplace_back(entries.size(), &rank);
    }
  }
  (void)poll(entries.data(), entries.size(), Deadline(until).poll_milliseconds());
  std::uint64_t count = 0;
  if (entries.front().revents != 0) (void)!read(wake_, &count, sizeof count);
  std::size_t at = 1;
  for (const auto& [end, rank] : ends)
    for (; at < end; ++at)
      rank->ready |= entries[at].revents != 0;
}

}  // namespace remote
