#include "mp_executor.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

namespace weft::mp {
namespace {

Status check_spec(const GangSpec& spec) {
  const auto bad = [&](std::string text) {
    return fail(ErrorCode::invalid_argument, "gang " + spec.gang.id + ": " + text);
  };
  if (spec.gang.id.empty()) return fail(ErrorCode::invalid_argument, "a gang needs an id");
  if (spec.ranks.empty()) return bad("expected at least one rank");
  std::set<std::int32_t> seen;
  for (const RankSpec& rank : spec.ranks) {
    const std::string name = "rank " + std::to_string(rank.rank);
    if (!seen.insert(rank.rank).second) return bad(name + " is there twice");
    if (rank.argv.empty() || rank.argv.front().empty()) return bad(name + " has no program");
    for (const std::string& argument : rank.argv)
      if (argument.find('\0') != std::string::npos) return bad(name + ": an argument contains a null character");
    for (const auto& [key, value] : rank.env)
      if (key.empty() || key.find('=') != std::string::npos || key.find('\0') != std::string::npos ||
          value.find('\0') != std::string::npos)
        return bad(name + ": environment variable '" + key + "' is not a legal name or value");
  }
  return {};
}

// What a rank asks for must be there: a mask with one CPU that exists is taken by the kernel, the others left out.
Status check_rank_on(const RankSpec& rank, const Node& node) {
  const auto bad = [&](const std::string& text) {
    return fail(ErrorCode::invalid_argument, "rank " + std::to_string(rank.rank) + ": " + text);
  };
  if (!rank.node.empty() && rank.node != node.name)
    return bad("no node '" + rank.node + "'; this executor has '" + node.name + "' alone");
  for (const int cpu : rank.cpus)
    if (std::find(node.cpus.begin(), node.cpus.end(), cpu) == node.cpus.end())
      return bad("CPU " + std::to_string(cpu) + " is not one that ranks may use; the inventory names those");
  if (!rank.devices.empty())
    return bad("device '" + rank.devices.front().kind + "' " + std::to_string(rank.devices.front().index) +
               " is not there; this executor knows no devices");
  return {};
}

}  // namespace

MpExecutor::MpExecutor(MpOptions options, HostServices& host)
    : options_(std::move(options)), host_(host), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  thread_ = std::thread([this] { run(); });
  (void)pthread_setname_np(thread_.native_handle(), "executor-mp");
}

MpExecutor::~MpExecutor() {
  (void)close();
  ::close(wake_);
}

void* MpExecutor::query(std::string_view interface_id) {
  return interface_id == ExecutorLogTail::interface_id ? static_cast<ExecutorLogTail*>(&log_tails_) : nullptr;
}

Result<Inventory> MpExecutor::inventory(Deadline) { return machine_inventory(options_); }

void MpExecutor::wake() const {
  const std::uint64_t one = 1;
  (void)!write(wake_, &one, sizeof one);  // a full counter wakes as well
}

Status MpExecutor::launch(const GangSpec& spec, GangSink& sink) {
  WEFT_TRY(check_spec(spec));
  WEFT_ASSIGN(inventory, machine_inventory(options_));
  for (const RankSpec& rank : spec.ranks)
    WEFT_TRY_CONTEXT(check_rank_on(rank, inventory.nodes.front()), "gang " + spec.gang.id);
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return fail(ErrorCode::failed_precondition, "the executor is closed");
    if (!names_.emplace(spec.gang.id, spec.gang.incarnation).second)
      return fail(ErrorCode::already_exists, "gang " + spec.gang.id + " lives; stop it and wait for its exits first");
    log_tails_.launched(spec);
    commands_.push_back({.kind = Command::Kind::launch, .spec = spec, .sink = &sink, .grace = {}});
  }
  wake();
  return {};
}

Status MpExecutor::stop(const GangId& gang, Duration grace) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = names_.find(gang.id);
    const bool lives = found != names_.end() && found->second == gang.incarnation;
    if (!lives && closing_) return fail(ErrorCode::failed_precondition, "the executor is closed");
    if (!lives)
      return fail(ErrorCode::not_found, "no gang " + gang.id + " of incarnation " + std::to_string(gang.incarnation));
    commands_.push_back(
        {.kind = Command::Kind::stop, .spec = {.gang = gang, .ranks = {}}, .sink = nullptr, .grace = grace});
  }
  wake();
  return {};
}

Status MpExecutor::close() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake();
  const std::lock_guard lock(join_mutex_);
  if (thread_.joinable()) {
    if (thread_.get_id() == std::this_thread::get_id())
      return fail(ErrorCode::failed_precondition, "close() cannot be called from a sink");
    thread_.join();
  }
  return {};
}

void MpExecutor::run() {
  for (;;) {
    std::deque<Command> commands;
    bool closing = false;
    {
      const std::lock_guard lock(mutex_);
      commands.swap(commands_);
      closing = closing_;
    }
    for (Command& command : commands) {
      if (command.kind == Command::Kind::stop)
        do_stop(command);
      else if (closing)
        refuse_gang(command, "the executor was closed");
      else
        do_launch(std::move(command));
    }
    if (closing)
      for (const auto& gang : gangs_)
        gang->kill_at = Time::min();
    kill_overdue(host_.now());
    reap_ended();
    if (closing && gangs_.empty()) {
      cgroups_.reset();  // a gang that is launched now is refused
      const std::lock_guard lock(mutex_);
      if (commands_.empty()) return;
      continue;
    }
    watch(next_kill());
  }
}

void MpExecutor::do_launch(Command command) {
  auto gang = std::make_unique<Gang>();
  gang->id = command.spec.gang;
  gang->sink = command.sink;
  // Start all, then ask all: the execs run side by side.
  std::string failure;
  for (RankSpec& spec : command.spec.ranks) {
    if (!options_.bind) spec.cpus.clear();
    Result<Process> process =
        Process::start(spec, command.spec.die_with_head, cgroup_for(command.spec.gang, spec.rank));
    if (!process) {
      failure = "rank " + std::to_string(spec.rank) + ": " + process.error().message;
      break;
    }
    gang->ranks.push_back({spec.rank, std::move(*process)});
  }
  for (Rank& rank : gang->ranks) {
    if (const Status status = rank.process.finish_start(); !status && failure.empty())
      failure = "rank " + std::to_string(rank.number) + ": " + status.error().message;
    tell_problem(gang->id, rank);
  }
  if (!failure.empty()) {
    gang->ranks.clear();  // kills and reaps what did start
    return refuse_gang(command, failure);
  }
  const Result<Inventory> inventory = machine_inventory(options_);
  std::vector<Placement> placements;
  for (const Rank& rank : gang->ranks)
    placements.push_back({.rank = rank.number,
                          .node = inventory ? inventory->nodes.front().name : std::string(),
                          .address = "127.0.0.1",
                          .pid = rank.process.pid(),
                          .devices = {}});
  Gang& placed = *gangs_.emplace_back(std::move(gang));
  placed.sink->on_placed(placed.id, placements);
}

// None where cgroups cannot be had: ranks do without, and what leaves their process group is out of reach.
Cgroup MpExecutor::cgroup_for(const GangId& gang, std::int32_t rank) {
  if (options_.cgroups && !std::exchange(cgroups_tried_, true)) {
    Result<CgroupFolder> made = CgroupFolder::make(options_.cgroup_files);
    if (made)
      cgroups_.emplace(std::move(*made));
    else
      host_.log(LogLevel::debug, "ranks have no cgroups of their own: " + made.error().message);
  }
  if (!cgroups_) return {};
  Result<Cgroup> cgroup =
      cgroups_->add(gang.id + "." + std::to_string(gang.incarnation) + "-rank-" + std::to_string(rank));
  if (cgroup) return std::move(*cgroup);
  host_.log(LogLevel::warn, "rank " + std::to_string(rank) + " does without a cgroup: " + cgroup.error().message);
  return {};
}

void MpExecutor::tell_problem(const GangId& gang, const Rank& rank) const {
  if (const std::string& problem = rank.process.cgroup_problem(); !problem.empty())
    host_.log(LogLevel::warn, "gang " + gang.id + ": rank " + std::to_string(rank.number) + ": " + problem);
}

void MpExecutor::refuse_gang(const Command& command, const std::string& why) {
  log_tails_.ended(command.spec.gang);
  {
    const std::lock_guard lock(mutex_);
    names_.erase(command.spec.gang.id);
  }
  const Exit exit{.cause = Exit::Cause::never_started, .value = 0, .detail = why};
  for (const RankSpec& rank : command.spec.ranks)
    command.sink->on_exit(command.spec.gang, rank.rank, exit);
}

void MpExecutor::do_stop(const Command& command) {
  for (const auto& gang : gangs_) {
    if (!(gang->id == command.spec.gang)) continue;
    const Time at = Deadline::in(command.grace).at();
    if (gang->kill_at == Time::max())
      for (const Rank& rank : gang->ranks)
        rank.process.signal_group(SIGTERM);
    gang->kill_at = std::min(gang->kill_at, at);
  }
}

void MpExecutor::kill_overdue(Time now) {
  for (const auto& gang : gangs_) {
    if (gang->killed || now < gang->kill_at) continue;
    gang->killed = true;
    for (const Rank& rank : gang->ranks)
      rank.process.kill_all();
  }
}

Time MpExecutor::next_kill() const {
  Time next = Time::max();
  for (const auto& gang : gangs_)
    if (!gang->killed) next = std::min(next, gang->kill_at);
  return next;
}

void MpExecutor::watch(Time until) {
  std::vector<pollfd> fds{{wake_, POLLIN, 0}};
  for (const auto& gang : gangs_)
    for (const Rank& rank : gang->ranks)
      fds.push_back({rank.process.pidfd(), POLLIN, 0});
  (void)poll(fds.data(), fds.size(), Deadline(until).poll_milliseconds());
  std::uint64_t count = 0;
  if ((fds.front().revents & POLLIN) != 0) (void)!read(wake_, &count, sizeof count);
}

void MpExecutor::reap_ended() {
  struct Ended {
    GangSink* sink;
    GangId gang;
    std::int32_t rank;
    Exit exit;
  };
  std::vector<Ended> ended;
  for (const auto& gang : gangs_) {
    std::vector<pollfd> fds;
    for (const Rank& rank : gang->ranks)
      fds.push_back({rank.process.pidfd(), POLLIN, 0});
    if (poll(fds.data(), fds.size(), 0) <= 0) continue;
    for (std::size_t i = fds.size(); i-- > 0;) {
      if ((fds[i].revents & POLLIN) == 0) continue;
      Rank& rank = gang->ranks[i];
      ended.push_back({gang->sink, gang->id, rank.number, rank.process.reap()});
      tell_problem(gang->id, rank);
      gang->ranks.erase(gang->ranks.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  {
    // The name is free again before the last exit is told, so that a sink may launch the next incarnation at once.
    const std::lock_guard lock(mutex_);
    for (const auto& gang : gangs_)
      if (gang->ranks.empty()) {
        log_tails_.ended(gang->id);
        names_.erase(gang->id.id);
      }
  }
  gangs_.erase(std::remove_if(gangs_.begin(), gangs_.end(), [](const auto& gang) { return gang->ranks.empty(); }),
               gangs_.end());
  for (const Ended& each : ended)
    each.sink->on_exit(each.gang, each.rank, each.exit);
}

}  // namespace weft::mp
