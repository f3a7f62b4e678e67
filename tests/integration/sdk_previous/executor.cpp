// Ranks as processes of this machine, as an author wrote it who knew the previous SDK. One thread starts, watches and ends
// them all and calls the sinks.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weft/executor.h>
#include <weft/plugin.h>

#if __has_include(<weft/executor_log_tail.h>)
#error "built from today's headers: this plugin is to know the frozen copy only"
#endif

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

extern char** environ;

namespace {

struct Rank {
  std::int32_t number = 0;
  pid_t pid = -1;
  int watch = -1;  // pidfd
};

struct Gang {
  weft::GangId id;
  weft::GangSink* sink = nullptr;
  std::vector<Rank> ranks;  // those that live
  weft::Time kill_at = weft::Time::max();
};

// The pid, or -errno. The rank leads a process group of its own.
pid_t spawn(const weft::RankSpec& rank) {
  std::vector<std::string> texts;
  for (char** entry = environ; *entry != nullptr; ++entry)
    texts.emplace_back(*entry);
  for (const auto& [key, value] : rank.env)
    texts.push_back(key + "=" + value);
  std::vector<char*> environment, arguments;
  for (std::string& text : texts)
    environment.push_back(text.data());
  std::vector<std::string> argv = rank.argv;
  for (std::string& argument : argv)
    arguments.push_back(argument.data());
  environment.push_back(nullptr);
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  const std::string log = rank.log_path.empty() ? "/dev/null" : rank.log_path;
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&files, 1, 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, argv.front().c_str(), &files, &attributes, arguments.data(), environment.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return error == 0 ? pid : -error;
}

weft::Exit reap(const Rank& rank) {
  ::kill(-rank.pid, SIGKILL);  // children of the rank
  int status = 0;
  while (::waitpid(rank.pid, &status, 0) < 0 && errno == EINTR) {
  }
  ::close(rank.watch);
  if (WIFSIGNALED(status)) return {weft::Exit::Cause::signal, WTERMSIG(status), ""};
  return {weft::Exit::Cause::code, WEXITSTATUS(status), ""};
}

class Previous final : public weft::Executor {
 public:
  Previous() : wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), thread_([this] { run(); }) {}
  ~Previous() override {
    (void)close();
    ::close(wake_);
  }

  weft::Result<weft::Inventory> inventory(weft::Deadline) override {
    weft::Node node{.name = "here", .address = "127.0.0.1"};
    cpu_set_t cpus;
    if (::sched_getaffinity(0, sizeof cpus, &cpus) == 0)
      for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
        if (CPU_ISSET(cpu, &cpus)) node.cpus.push_back(cpu);
    return weft::Inventory{{std::move(node)}};
  }

  weft::Status launch(const weft::GangSpec& spec, weft::GangSink& sink) override {
    if (spec.ranks.empty()) return weft::fail(weft::ErrorCode::invalid_argument, "a gang needs a rank");
    for (const weft::RankSpec& rank : spec.ranks)
      if (rank.argv.empty()) return weft::fail(weft::ErrorCode::invalid_argument, "a rank needs a program");
    const std::lock_guard lock(mutex_);
    if (closing_) return weft::fail(weft::ErrorCode::failed_precondition, "the executor is closed");
    if (!names_.emplace(spec.gang.id, spec.gang.incarnation).second)
      return weft::fail(weft::ErrorCode::already_exists, "gang " + spec.gang.id + " lives");
    post([this, spec, &sink] { start(spec, sink); });
    return {};
  }

  weft::Status stop(const weft::GangId& gang, weft::Duration grace) override {
    const std::lock_guard lock(mutex_);
    const auto found = names_.find(gang.id);
    if (found == names_.end() || found->second != gang.incarnation)
      return weft::fail(weft::ErrorCode::not_found, "no gang " + gang.id);
    post([this, gang, at = weft::Deadline::in(grace).at()] { end(gang, at); });
    return {};
  }

  weft::Status close() override {
    {
      const std::lock_guard lock(mutex_);
      if (!closing_) post([this] { end_all(); });
      closing_ = true;
    }
    const std::lock_guard lock(join_mutex_);
    if (thread_.joinable()) thread_.join();
    return {};
  }

  void* query(std::string_view) override { return nullptr; }

 private:
  // Under mutex_.
  void post(std::function<void()> task) {
    tasks_.push_back(std::move(task));
    const std::uint64_t one = 1;
    (void)!::write(wake_, &one, sizeof one);
  }

  void run() {
    for (;;) {
      std::vector<std::function<void()>> tasks;
      {
        const std::lock_guard lock(mutex_);
        if (tasks_.empty() && closing_ && gangs_.empty()) return;
        tasks.swap(tasks_);
      }
      for (const auto& task : tasks)
        task();
      if (tasks.empty()) wait();
    }
  }

  // Until a process ends, a task comes, or a gang's grace is over; then tells what has ended.
  void wait() {
    std::vector<pollfd> watched{{wake_, POLLIN, 0}};
    weft::Time until = weft::Time::max();
    for (const Gang& gang : gangs_) {
      until = std::min(until, gang.kill_at);
      for (const Rank& rank : gang.ranks)
        watched.push_back({rank.watch, POLLIN, 0});
    }
    (void)::poll(watched.data(), watched.size(), weft::Deadline(until).poll_milliseconds());
    std::uint64_t count = 0;
    (void)!::read(wake_, &count, sizeof count);
    std::size_t at = 1;
    for (Gang& gang : gangs_) {
      if (weft::Clock::now() >= gang.kill_at) {
        for (const Rank& rank : gang.ranks)
          ::kill(-rank.pid, SIGKILL);
        gang.kill_at = weft::Time::max();
      }
      std::vector<Rank> left;
      for (const Rank& rank : gang.ranks)
        if (watched[at++].revents != 0)
          ended_.push_back({&gang, rank.number, reap(rank)});
        else
          left.push_back(rank);
      gang.ranks = std::move(left);
    }
    tell();
  }

  void tell() {
    for (const auto& [gang, rank, exit] : ended_) {
      const bool last = gang->ranks.empty() && &ended_.back().exit == &exit;
      if (last) forget(gang->id);
      gang->sink->on_exit(gang->id, rank, exit);
    }
    ended_.clear();
    for (const Gang& gang : gangs_)
      if (gang.ranks.empty()) forget(gang.id);
    gangs_.erase(std::remove_if(gangs_.begin(), gangs_.end(), [](const Gang& gang) { return gang.ranks.empty(); }),
                 gangs_.end());
  }

  void forget(const weft::GangId& gang) {
    const std::lock_guard lock(mutex_);
    const auto found = names_.find(gang.id);
    if (found != names_.end() && found->second == gang.incarnation) names_.erase(found);
  }

  void start(const weft::GangSpec& spec, weft::GangSink& sink) {
    Gang gang{.id = spec.gang, .sink = &sink, .ranks = {}};
    std::vector<weft::Placement> placements;
    std::string failure;
    for (const weft::RankSpec& rank : spec.ranks) {
      const pid_t pid = spawn(rank);
      if (pid < 0) {
        failure = rank.argv.front() + ": " + std::strerror(-pid);
        break;
      }
      gang.ranks.push_back({rank.rank, pid, static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))});
      placements.push_back({.rank = rank.rank, .node = "here", .address = "127.0.0.1", .pid = pid, .devices = {}});
    }
    if (failure.empty()) {
      gangs_.push_back(gang);
      return sink.on_placed(spec.gang, placements);
    }
    for (const Rank& rank : gang.ranks) {
      ::kill(-rank.pid, SIGKILL);
      (void)reap(rank);
    }
    forget(spec.gang);
    for (const weft::RankSpec& rank : spec.ranks)
      sink.on_exit(spec.gang, rank.rank, {weft::Exit::Cause::never_started, 0, failure});
  }

  void end(const weft::GangId& id, weft::Time at) {
    for (Gang& gang : gangs_) {
      if (!(gang.id == id)) continue;
      for (const Rank& rank : gang.ranks)
        ::kill(-rank.pid, SIGTERM);
      gang.kill_at = std::min(gang.kill_at, at);
    }
  }

  void end_all() {
    for (Gang& gang : gangs_)
      gang.kill_at = weft::Time::min();
  }

  struct Ended {
    Gang* gang;
    std::int32_t rank;
    weft::Exit exit;
  };

  const int wake_;
  std::mutex mutex_;  // guards tasks_, names_, closing_
  std::vector<std::function<void()>> tasks_;
  std::map<std::string, std::int64_t> names_;
  bool closing_ = false;
  std::vector<Gang> gangs_;  // the thread's own, like ended_
  std::vector<Ended> ended_;
  std::mutex join_mutex_;  // guards the join
  std::thread thread_;     // last: it uses all above
};

weft::Result<std::unique_ptr<weft::Executor>> create(const weft::PluginOptions&, weft::HostServices&) {
  return std::make_unique<Previous>();
}

}  // namespace

WEFT_PLUGIN(weft::Executor, {.name = "previous",
                             .version = "0.1.0",
                             .summary = "processes of this machine, built from the previous SDK",
                             .create = &create})
