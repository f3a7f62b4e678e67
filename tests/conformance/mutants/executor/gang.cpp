#include "tests/conformance/mutants/executor/gang.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "tests/conformance/mutants/switch.h"

namespace weft::mutant {
namespace {

Exit never_started(std::string why) {
  return {.cause = Exit::Cause::never_started, .value = 0, .detail = std::move(why)};
}

Exit exit_of(const Record& record) {
  const bool code = record.what == Record::What::code;
  Exit exit{.cause = code ? Exit::Cause::code : Exit::Cause::signal, .value = record.value, .detail = ""};
  if (code && breaks("codes_are_signed")) exit.value = static_cast<signed char>(record.value);
  if (!code && breaks("signals_as_codes"))
    exit = {.cause = Exit::Cause::code, .value = 128 + record.value, .detail = ""};
  return exit;
}

}  // namespace

Gang::Gang(GangSpec spec, Node node, Listener listener)
    : spec_(std::move(spec)),
      node_(std::move(node)),
      listener_(std::move(listener)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  thread_ = std::thread([this] { run(); });
  (void)::pthread_setname_np(thread_.native_handle(), "mutant-gang");
}

Gang::~Gang() {
  thread_.join();
  ::close(wake_);
}

void Gang::stop(Duration grace) {
  const std::lock_guard lock(mutex_);
  if (breaks("never_kills") && grace > Duration::zero()) grace = Duration::max();
  if (breaks("negative_grace_is_an_hour") && grace < Duration::zero()) grace = std::chrono::hours(1);
  if (breaks("endless_grace_overflows") && grace == Duration::max()) grace = Duration::zero();
  const Time at = Deadline::in(std::max(grace, Duration::zero())).at();
  if (breaks("first_grace_counts") && stopped_ && grace > Duration::zero()) return;
  if (breaks("last_grace_counts")) kill_at_ = Time::max();
  stopped_ = true;
  kill_at_ = std::min(kill_at_, at);
  const std::uint64_t one = 1;
  (void)!::write(wake_, &one, sizeof one);
}

void Gang::abandon() {
  abandoned_ = true;
  const std::uint64_t one = 1;
  (void)!::write(wake_, &one, sizeof one);
}

Time Gang::kill_at() {
  const std::lock_guard lock(mutex_);
  return stopped_ && !killed_ ? kill_at_ : Time::max();
}

std::string Gang::start_all() {
  std::string problem;
  for (RankSpec rank : spec_.ranks) {
    if (breaks("variables_of_the_first")) rank.env = spec_.ranks[0].env;
    if (breaks("one_log_for_all")) rank.log_path = spec_.ranks[0].log_path;
    Result<Keeper> keeper = Keeper::start(rank, spec_.die_with_head);
    if (breaks("ranks_are_counted")) rank.rank = static_cast<std::int32_t>(ranks_.size());
    if (keeper)
      ranks_.push_back({rank.rank, std::move(*keeper)});
    else if (problem.empty())
      problem = "rank " + std::to_string(rank.rank) + ": " + keeper.error().message;
  }
  for (auto rank = ranks_.begin(); rank != ranks_.end();) {
    const Record record = rank->keeper.next();
    pids_.push_back(breaks("pid_of_the_keeper") ? rank->keeper.pid() : record.value);
    if (record.what == Record::What::started) {
      ++rank;
      continue;
    }
    if (problem.empty())
      problem = "rank " + std::to_string(rank->number) + ": cannot be run: " + std::strerror(record.value);
    rank = ranks_.erase(rank);
  }
  if (!problem.empty()) {
    if (breaks("half_a_gang")) (void)new std::vector<Rank>(std::move(ranks_));  // never ended
    ranks_.clear();
  }
  return problem;
}

void Gang::tell_placed() {
  std::vector<Placement> placements;
  for (std::size_t index = 0; index < spec_.ranks.size(); ++index) {
    const RankSpec& rank = spec_.ranks[index];
    placements.push_back({.rank = breaks("ranks_are_counted") ? static_cast<std::int32_t>(index) : rank.rank,
                          .node = breaks("node_unnamed") ? std::string() : node_.name,
                          .address = node_.address,
                          .pid = pids_[index],
                          .devices = breaks("devices_forgotten") ? std::vector<NodeDevice>() : rank.devices});
  }
  if (breaks("a_rank_not_placed") && placements.size() > 1) placements.pop_back();
  placed_ = true;
  listener_.placed(placements);
  if (breaks("placed_twice")) listener_.placed(placements);
}

void Gang::run() {
  const std::string problem = start_all();
  if (!problem.empty()) {
    for (std::size_t index = 0; index < spec_.ranks.size(); ++index) {
      Exit exit = never_started(breaks("no_reason") ? "" : problem);
      const bool innocent = problem.find("rank " + std::to_string(spec_.ranks[index].rank) + ":") == std::string::npos;
      if (breaks("only_the_bad_never_started") && innocent)
        exit = {.cause = Exit::Cause::signal, .value = SIGKILL, .detail = ""};
      listener_.exited(spec_.ranks[index].rank, exit, index + 1 == spec_.ranks.size());
    }
    return;
  }
  if (breaks("placed_too_late")) {  // where a rank ends meanwhile
    pollfd waited{ranks_[0].keeper.status(), POLLIN, 0};
    if (::poll(&waited, 1, 200) > 0) hear(0);
  }
  tell_placed();
  while (!ranks_.empty() && !abandoned_)
    watch_once();
  if (abandoned_) (void)new std::vector<Rank>(std::move(ranks_));  // never ended
}

void Gang::keep_deadline() {
  bool terminate = false;
  {
    const std::lock_guard lock(mutex_);
    terminate = stopped_ && !std::exchange(terminated_, stopped_);
  }
  if (terminate && !leaves_children_)
    for (const Rank& rank : ranks_)
      rank.keeper.terminate();
  if (Clock::now() < kill_at()) return;
  killed_ = true;
  if (breaks("told_before_the_kill")) return tell_and_kill_later();
  for (const Rank& rank : ranks_)
    leaves_children_ ? rank.keeper.kill_alone() : rank.keeper.kill();
}

void Gang::tell_and_kill_later() {
  std::vector<Rank> ranks = std::move(ranks_);
  ranks_.clear();
  for (std::size_t at = 0; at < ranks.size(); ++at)
    listener_.exited(ranks[at].number, {.cause = Exit::Cause::signal, .value = SIGKILL, .detail = ""},
                     at + 1 == ranks.size());
  (void)::poll(nullptr, 0, 2500);  // then the keepers' ends kill them
}

void Gang::watch_once() {
  keep_deadline();
  if (ranks_.empty()) return;
  std::vector<pollfd> waited{{wake_, POLLIN, 0}};
  for (const Rank& rank : ranks_)
    waited.push_back({rank.keeper.status(), POLLIN, 0});
  if (::poll(waited.data(), waited.size(), Deadline(kill_at()).poll_milliseconds()) <= 0) return;
  std::uint64_t count = 0;
  if (waited[0].revents != 0) (void)!::read(wake_, &count, sizeof count);
  for (std::size_t index = ranks_.size(); index-- > 0;)
    if (waited[index + 1].revents != 0) hear(index);
}

void Gang::hear(std::size_t index) {
  const std::int32_t number = ranks_[index].number;
  const Exit exit = exit_of(ranks_[index].keeper.next());
  ranks_.erase(ranks_.begin() + static_cast<std::ptrdiff_t>(index));
  if (breaks("one_takes_all"))
    for (const Rank& rank : ranks_)
      rank.keeper.kill();
  if (breaks("exit_told_twice") && exit.cause == Exit::Cause::code && exit.value > 100)
    listener_.exited(number, exit, false);
  listener_.exited(number, exit, ranks_.empty());
}

}  // namespace weft::mutant
