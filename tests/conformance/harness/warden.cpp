#include "tests/conformance/harness/warden.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "core/telemetry/log.h"
#include "tests/conformance/harness/case_process.h"

namespace weft::conformance {
namespace {

using nlohmann::json;
constexpr std::size_t kept_output = std::size_t{64} << 10;    // bytes of stdout and stderr, the last
constexpr std::size_t longest_answer = std::size_t{8} << 20;  // bytes of a case's own result

void write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t done = ::write(descriptor, text.data(), text.size());
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return;  // nobody reads any more
    text.remove_prefix(static_cast<std::size_t>(done));
  }
}

// Every signal to its default; those that the C library keeps for itself past it: whoever was started by its system() has
// them ignored, and so would every rank that a plugin starts here.
void reset_signals() {
  constexpr std::array<unsigned long, 4> by_default{};  // the kernel's struct sigaction: handler, flags, restorer, mask
  for (int number = 1; number < NSIG; ++number)
    if (::signal(number, SIG_DFL) == SIG_ERR)
      ::syscall(SYS_rt_sigaction, number, by_default.data(), nullptr, sizeof(unsigned long));
}

// A process of its own group with plain signals and no core file; its output goes to the warden.
void settle_in(pid_t warden, int output) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != warden) ::_exit(1);
  const struct rlimit none {};
  ::setrlimit(RLIMIT_CORE, &none);
  reset_signals();
  ::signal(SIGPIPE, SIG_IGN);  // as in `weft`
  sigset_t empty;
  sigemptyset(&empty);
  ::sigprocmask(SIG_SETMASK, &empty, nullptr);
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  ::dup2(null, 0);
  ::close(null);
  ::dup2(output, 1);
  ::dup2(output, 2);
}

[[noreturn]] void case_main(Context::Setup setup, pid_t warden, int output, int answer) {
  settle_in(warden, output);
  log::set_up({.level = LogLevel::error});  // the loader's warnings would be among the plugin's output
  Context context(std::move(setup));
  const BodyResult result = run_body(context);
  std::fflush(nullptr);
  write_all(answer, json{{"outcome", static_cast<int>(result.outcome)},
                         {"message", result.message},
                         {"notes", result.notes},
                         {"proven", result.proven}}
                        .dump(-1, ' ', false, json::error_handler_t::replace));
  ::_exit(0);  // what the plugin left to the end of the process is not the case's
}

struct Watched {
  pid_t pid = -1;
  int answer = -1;
  int output = -1;
  int ended = -1;      // a pidfd
  int dismissed = -1;  // a signalfd: the runner is gone, or wants an end
  std::string answered;
  std::string printed;
};

// Appends what there is; false once the other side has closed.
bool drain(int descriptor, std::string& into, std::size_t most, bool keep_last) {
  std::array<char, 1 << 14> chunk{};
  while (true) {
    const ssize_t got = ::read(descriptor, chunk.data(), chunk.size());
    if (got == 0) return false;
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (!keep_last && into.size() >= most) continue;
    into.append(chunk.data(), static_cast<std::size_t>(got));
    if (keep_last && into.size() > 2 * most) into.erase(0, into.size() - most);
  }
}

enum class End : std::uint8_t { ended, deadline, dismissed };

// Until the case's process is gone, its deadline has passed or the warden is dismissed.
End watch(Watched& watched, Deadline deadline) {
  while (true) {
    std::array<pollfd, 4> waited{{{watched.answer, POLLIN, 0},
                                  {watched.output, POLLIN, 0},
                                  {watched.ended, POLLIN, 0},
                                  {watched.dismissed, POLLIN, 0}}};
    const int ready = ::poll(waited.data(), waited.size(), deadline.poll_milliseconds());
    if (ready < 0 && errno == EINTR) continue;
    if (waited[3].revents != 0) return End::dismissed;
    if (waited[0].revents != 0 && !drain(watched.answer, watched.answered, longest_answer, false)) {
      ::close(watched.answer);
      watched.answer = -1;
    }
    if (waited[1].revents != 0 && !drain(watched.output, watched.printed, kept_output, true)) {
      ::close(watched.output);
      watched.output = -1;
    }
    if (waited[2].revents != 0) return End::ended;
    if (deadline.passed()) return End::deadline;
  }
}

// "(worker) S 12 ...": the name, state and parent in /proc/PID/stat.
bool read_stat(const std::filesystem::path& directory, std::string& name, char& state, pid_t& parent) {
  std::ifstream file(directory / "stat");
  std::string line;
  std::getline(file, line);
  const std::size_t open = line.find('(');
  const std::size_t close = line.rfind(')');
  if (open == std::string::npos || close == std::string::npos || close + 4 > line.size()) return false;
  name = line.substr(open + 1, close - open - 1);
  state = line[close + 2];
  parent = static_cast<pid_t>(std::strtol(line.c_str() + close + 4, nullptr, 10));
  return true;
}

struct Ending {
  Outcome outcome;
  std::string message;
};

Ending outcome_of(const Watched& watched, int status, End end, std::chrono::milliseconds limit, json& notes,
                  json& proven) {
  const json answer = json::parse(watched.answered, nullptr, false);
  if (end == End::ended && answer.is_object()) {
    notes = answer.value("notes", json::array());
    proven = answer.value("proven", json::array());
    return {static_cast<Outcome>(answer.value("outcome", 1)), answer.value("message", "")};
  }
  if (end == End::deadline)
    return {Outcome::timeout, fmt::format("no outcome within {} ms; it was stopped", limit.count())};
  if (end == End::dismissed) return {Outcome::crash, "the run was ended before it"};
  if (WIFSIGNALED(status))
    return {Outcome::crash, fmt::format("signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)))};
  return {Outcome::crash, fmt::format("the process ended itself with exit code {}", WEXITSTATUS(status))};
}

// Both ends do not outlive an exec.
std::array<int, 2> make_pipe() {
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) ::_exit(3);
  return ends;
}

}  // namespace

std::vector<std::string> end_descendants() {
  namespace fs = std::filesystem;
  std::vector<std::string> names;
  std::set<std::string> seen;  // what has ended is there until its turn to be reaped comes
  const pid_t self = ::getpid();
  while (true) {
    // Whoever is orphaned by a kill becomes a child of this process: children are enough, again and again.
    std::error_code error;
    bool killed = false;
    for (fs::directory_iterator entry("/proc", error), last; !error && entry != last; entry.increment(error)) {
      const std::string pid = entry->path().filename().string();
      std::string name;
      char state = '?';
      pid_t parent = 0;
      if (pid.find_first_not_of("0123456789") != std::string::npos || !read_stat(entry->path(), name, state, parent))
        continue;
      if (parent != self) continue;
      if (::kill(static_cast<pid_t>(std::stol(pid)), SIGKILL) != 0) continue;
      if (seen.insert(pid).second && state != 'Z') names.push_back(name);
      killed = true;
    }
    int status = 0;
    // Blocks only for one that is sure to end: an orphan may have come after the look.
    const pid_t reaped = ::waitpid(-1, &status, killed ? 0 : WNOHANG);
    if (reaped < 0 && errno == ECHILD) return names;
  }
}

void warden_main(Context::Setup setup, std::chrono::milliseconds limit, int pipe) {
  const pid_t runner = ::getppid();
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  ::sigprocmask(SIG_SETMASK, &ends, nullptr);
  Watched watched;
  watched.dismissed = ::signalfd(-1, &ends, SFD_CLOEXEC);
  if (::getppid() != runner) ::_exit(1);
  const std::array<int, 2> answer = make_pipe();
  const std::array<int, 2> output = make_pipe();
  const auto started = Clock::now();
  // The body's own deadline comes first, so that it can still say what it waited for.
  setup.deadline = Deadline::in(limit - std::min<std::chrono::milliseconds>(limit / 10, std::chrono::seconds(1)));
  const std::string directory = setup.directory.string();
  const pid_t self = ::getpid();
  watched.pid = ::fork();
  if (watched.pid == 0) {
    ::close(answer[0]);
    ::close(output[0]);
    ::close(pipe);
    ::close(watched.dismissed);
    case_main(std::move(setup), self, output[1], answer[1]);
  }
  ::close(answer[1]);
  ::close(output[1]);
  watched.answer = answer[0];
  watched.output = output[0];
  ::fcntl(watched.answer, F_SETFL, O_NONBLOCK);
  ::fcntl(watched.output, F_SETFL, O_NONBLOCK);
  watched.ended = static_cast<int>(::syscall(SYS_pidfd_open, watched.pid, 0));
  const End end = watched.pid < 0 ? End::dismissed : watch(watched, Deadline::in(limit));
  int status = 0;
  if (watched.pid > 0) {  // -1, where there was no process to be had, would mean every process there is
    ::kill(watched.pid, SIGKILL);
    while (::waitpid(watched.pid, &status, 0) < 0 && errno == EINTR) {
    }
  }
  if (watched.answer >= 0) drain(watched.answer, watched.answered, longest_answer, false);
  if (watched.output >= 0) drain(watched.output, watched.printed, kept_output, true);
  const double seconds = std::chrono::duration<double>(Clock::now() - started).count();
  const std::vector<std::string> left = end_descendants();
  json notes = json::array();
  json proven = json::array();
  const Ending ending = outcome_of(watched, status, end, limit, notes, proven);
  if (!left.empty()) notes.push_back(fmt::format("left {} processes behind: {}", left.size(), fmt::join(left, ", ")));
  if (watched.printed.size() > kept_output) watched.printed.erase(0, watched.printed.size() - kept_output);
  std::error_code error;
  std::filesystem::remove_all(directory, error);
  write_all(pipe, json{{"outcome", static_cast<int>(ending.outcome)},
                       {"message", ending.message},
                       {"seconds", seconds},
                       {"notes", notes},
                       {"proven", proven},
                       {"output", watched.printed}}
                      .dump(-1, ' ', false, json::error_handler_t::replace));
  ::_exit(0);
}

}  // namespace weft::conformance
