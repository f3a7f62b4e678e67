#include "cli/agent_session.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/agent_spec.h"
#include "cli/exit_code.h"
#include "plugins/executor_mp/mp_executor.h"
#include "plugins/executor_mp/process.h"

namespace weft::cli {
namespace {

// SIGKILL ends whatever may be signalled; what may not is left after this.
constexpr Duration killing_limit = std::chrono::seconds(10);
// Whoever reads events and does not for so long is gone.
constexpr Duration writing_limit = std::chrono::seconds(10);

// The parent of a process, from /proc; -1 where it is gone.
pid_t parent_of(std::string_view pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string stat;
  std::getline(file, stat);
  // "pid (name) state parent ...": the name may hold anything, its end is the last bracket.
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos || name_end + 4 >= stat.size()) return -1;
  pid_t parent = -1;
  std::from_chars(stat.data() + name_end + 4, stat.data() + stat.size(), parent);
  return parent;
}

void kill_children() {
  DIR* const processes = opendir("/proc");
  if (processes == nullptr) return;
  while (const dirent* entry = readdir(processes)) {
    const std::string_view name(entry->d_name);
    pid_t pid = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), pid).ptr != name.data() + name.size()) continue;
    if (parent_of(name) == getpid()) (void)kill(pid, SIGKILL);
  }
  closedir(processes);
}

const char* word_of(Exit::Cause cause) {
  switch (cause) {
    case Exit::Cause::code: return "code";
    case Exit::Cause::signal: return "signal";
    case Exit::Cause::never_started: return "never_started";
    case Exit::Cause::node_lost:
    case Exit::Cause::unknown: break;
  }
  return "unknown";
}

class Session {
 public:
  Session(int in, int out) : in_(in), out_(out) {}
  ~Session() {
    if (signals_ >= 0) close(signals_);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  int run() {
    if (const Status ready = prepare(); !ready) return never_started(ready.error(), exit_not_started);
    const Result<std::string> line = first_line();
    if (!line) return never_started(line.error(), exit_usage);
    Result<AgentSpecification> parsed = parse_agent_specification(*line);
    if (!parsed) return never_started(annotate(parsed.error(), "launch specification"), exit_usage);
    spec_ = std::move(*parsed);
    if (spec_.describe) return describe();
    if (const Status started = start(); !started) {
      kill_descendants();
      return never_started(started.error(), exit_not_started);
    }
    tell({{"event", "started"}, {"pid", process_->pid()}});
    take_commands();
    for (bool ended = false; !ended;)
      ended = watch();
    const Exit exit = process_->reap();
    kill_descendants();
    tell_exit(exit);
    return exit_ok;
  }

 private:
  static Error system_error(const std::string& what) {
    return {ErrorCode::internal, what + ": " + std::strerror(errno)};
  }

  Status prepare() {
    // What a transport left open is not the rank's.
    if (syscall(SYS_close_range, 3U, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */) != 0) return fail(system_error("close_range"));
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return fail(system_error("prctl"));
    sigset_t taken;
    sigemptyset(&taken);
    for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP})
      sigaddset(&taken, signal);
    // An inherited "ignore" of SIGCHLD would reap behind our back.
    if (std::signal(SIGCHLD, SIG_DFL) == SIG_ERR || sigprocmask(SIG_BLOCK, &taken, nullptr) != 0)
      return fail(system_error("sigprocmask"));
    signals_ = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals_ < 0) return fail(system_error("signalfd"));
    return {};
  }

  // Reads what is there. False at the end of the input.
  bool read_more() {
    std::array<char, 65536> buffer;
    const ssize_t got = read(in_, buffer.data(), buffer.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return true;
    if (got <= 0) return false;
    input_.append(buffer.data(), static_cast<std::size_t>(got));
    return true;
  }

  std::optional<std::string> next_line() {
    const std::size_t end = input_.find('\n');
    if (end == std::string::npos) return std::nullopt;
    std::string line = input_.substr(0, end);
    input_.erase(0, end + 1);
    return line;
  }

  Result<std::string> first_line() {
    std::size_t seen = 0;
    for (;;) {
      if (input_.find('\n', seen) != std::string::npos) return *next_line();
      seen = input_.size();
      if (seen > longest_agent_specification)
        return fail(ErrorCode::invalid_argument,
                    fmt::format("launch specification: longer than {} bytes", longest_agent_specification));
      std::array<pollfd, 2> fds{{{in_, POLLIN, 0}, {signals_, POLLIN, 0}}};
      (void)poll(fds.data(), fds.size(), -1);  // the other side sends, ends, or we are told to
      if (fds[1].revents != 0 && told_to_end())
        return fail(ErrorCode::cancelled, "told to end before a launch specification came");
      if (fds[0].revents != 0 && !read_more())
        return fail(ErrorCode::invalid_argument,
                    seen == 0 ? "expected a launch specification, one line of JSON, on standard input; it ended"
                              : "the launch specification's line has no end; expected a newline after it");
    }
  }

  Status start() {
    if (!spec_.directory.empty() && chdir(spec_.directory.c_str()) != 0)
      return fail(ErrorCode::not_found, fmt::format("cwd {}: {}", spec_.directory, std::strerror(errno)));
    if (const auto folder = std::filesystem::path(spec_.rank.log_path).parent_path(); !folder.empty()) {
      std::error_code ignored;  // what is wrong with it is said when the log is opened
      std::filesystem::create_directories(folder, ignored);
    }
    WEFT_ASSIGN(process, mp::Process::start(spec_.rank, spec_.die_with_input));
    WEFT_TRY(process.finish_start());
    process_ = std::move(process);
    return {};
  }

  // One wait. True once the rank has ended.
  bool watch() {
    std::array<pollfd, 3> fds{{{process_->pidfd(), POLLIN, 0}, {signals_, POLLIN, 0}, {open_ ? in_ : -1, POLLIN, 0}}};
    (void)poll(fds.data(), fds.size(), Deadline(killed_ ? Time::max() : kill_at_).poll_milliseconds());
    if (fds[0].revents != 0) return true;
    if (fds[1].revents != 0 && told_to_end()) stop(spec_.grace);
    if (fds[2].revents != 0) {
      open_ = read_more();
      take_commands();
      if (!open_ && spec_.die_with_input) stop(spec_.grace);
    }
    if (!killed_ && Clock::now() >= kill_at_) {
      killed_ = true;
      process_->signal_group(SIGKILL);
    }
    return false;
  }

  void take_commands() {
    while (const std::optional<std::string> line = next_line()) {
      const Result<AgentCommand> command = parse_agent_command(*line);
      if (!command)
        tell({{"event", "error"}, {"detail", command.error().message}});
      else if (command->signal == 0)
        stop(command->grace);
      else
        process_->signal_group(command->signal);
    }
    if (input_.size() <= longest_agent_command) return;
    tell({{"event", "error"}, {"detail", "a command is too long; nothing more is read"}});
    input_.clear();
    open_ = false;
    if (spec_.die_with_input) stop(spec_.grace);
  }

  void stop(Duration grace) {
    if (kill_at_ == Time::max()) process_->signal_group(SIGTERM);
    kill_at_ = std::min(kill_at_, Deadline::in(grace).at());
  }

  // Takes the signals that came; reaps orphans that were left to us. True if one of them asks for the end.
  bool told_to_end() {
    bool end = false;
    signalfd_siginfo info{};
    while (read(signals_, &info, sizeof info) == sizeof info)
      end |= info.ssi_signo != SIGCHLD;
    for (;;) {
      siginfo_t child{};
      if (waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) != 0 || child.si_pid == 0) break;
      if (process_ && child.si_pid == process_->pid()) break;
      (void)waitpid(child.si_pid, nullptr, WNOHANG);
    }
    return end;
  }

  // The rank is reaped: whatever is our child now is an orphan of it.
  void kill_descendants() {
    const Deadline deadline = Deadline::in(killing_limit);
    while (!deadline.passed()) {
      signalfd_siginfo info{};
      while (read(signals_, &info, sizeof info) == sizeof info) {
      }
      pid_t reaped = 0;
      do {
        reaped = waitpid(-1, nullptr, WNOHANG);
      } while (reaped > 0);
      if (reaped < 0) return;  // no child left
      kill_children();
      pollfd signals{signals_, POLLIN, 0};
      (void)poll(&signals, 1, deadline.poll_milliseconds());
    }
  }

  int describe() {
    const Result<Inventory> found = mp::machine_inventory({});
    if (!found) {
      tell({{"event", "error"}, {"detail", found.error().message}});
      return exit_not_started;
    }
    const Node& node = found->nodes.front();
    tell({{"event", "node"}, {"host", node.name}, {"cpus", node.cpus}, {"memory", node.memory}});
    return exit_ok;
  }

  int never_started(const Error& why, int code) {
    fmt::print(stderr, "weft agent: {}{}{}\n", spec_.name, spec_.name.empty() ? "" : ": ", why.message);
    tell_exit({.cause = Exit::Cause::never_started, .value = 0, .detail = why.message});
    return code;
  }

  void tell_exit(const Exit& exit) {
    tell({{"event", "exit"}, {"cause", word_of(exit.cause)}, {"value", exit.value}, {"detail", exit.detail}});
  }

  // Details may quote hostile input: what is not UTF-8 is replaced.
  void tell(const nlohmann::ordered_json& event) {
    const std::string line = event.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
    const Deadline deadline = Deadline::in(writing_limit);
    for (std::size_t done = 0; done < line.size() && out_ >= 0;) {
      pollfd room{out_, POLLOUT, 0};
      const int ready = poll(&room, 1, deadline.poll_milliseconds());
      if (ready < 0 && errno == EINTR) continue;
      const ssize_t wrote = ready > 0 ? write(out_, line.data() + done, line.size() - done) : -1;
      if (wrote < 0 && ready > 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (wrote < 0) out_ = -1;  // nobody listens; what is to be done is done all the same
      done += wrote > 0 ? static_cast<std::size_t>(wrote) : 0;
    }
  }

  const int in_;
  int out_;  // -1 once nobody listens
  int signals_ = -1;
  std::string input_;  // read and not yet taken
  bool open_ = true;   // the input has not ended
  AgentSpecification spec_;
  std::optional<mp::Process> process_;
  Time kill_at_ = Time::max();
  bool killed_ = false;
};

}  // namespace

int run_agent(int in, int out) { return Session(in, out).run(); }

}  // namespace weft::cli
