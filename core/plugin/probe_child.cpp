#include "core/plugin/probe_child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "core/plugin/row_json.h"

namespace weft {
namespace {

constexpr std::size_t longest_answer = std::size_t{4} << 20;

void write_line(int pipe, std::string line) {
  line += '\n';
  std::string_view left = line;
  while (!left.empty()) {
    const ssize_t done = ::write(pipe, left.data(), left.size());
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return;  // the parent is gone; so will we be
    left.remove_prefix(static_cast<std::size_t>(done));
  }
}

// A quiet process of its own group, which dies with its parent and leaves no core file.
void isolate() {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const struct rlimit none {};
  ::setrlimit(RLIMIT_CORE, &none);
  for (int signal = 1; signal < NSIG; ++signal)
    ::signal(signal, SIG_DFL);
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t all;
  sigemptyset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int standard = 0; standard <= 2; ++standard)
    ::dup2(null, standard);
}

// One line as each stage begins, one with the outcome up to probe and one with that of create, and one at the end. _exit: what belongs to the parent (buffers,
// static objects) is not ours to flush or to destroy.
[[noreturn]] void child_main(StageRun run, int pipe) {
  isolate();
  run.at = [pipe](Stage stage) { write_line(pipe, stage_line(stage)); };
  try {
    DiscoveredPlugin row;
    if (!run.create) row.create_untried = create_not_asked_for;
    auto checked = run_stages(run, row.info);
    if (!checked) row.refusal = checked.error();
    write_line(pipe, row_line(row));  // what is known is known, however create ends
    if (checked && run.create) {
      if (auto created = run_create(**checked, run, row); !created) row.refusal = created.error();
      write_line(pipe, row_line(row));
    }
    write_line(pipe, end_line());
  } catch (...) {  // out of memory; the parent sees an end without an outcome
  }
  ::_exit(0);
}

// Names of this process's threads but the caller's, by commas. One that was joined is listed until the kernel has let go of
// it, and says of itself by then that it is exiting (PF_EXITING of linux/sched.h, in the flags of /proc/TID/stat).
std::string other_threads() {
  std::string names;
#if !defined(__SANITIZE_THREAD__)  // which has a thread of its own
  constexpr unsigned long exiting = 0x4;
  const std::string own = std::to_string(::gettid());
  std::error_code error;
  for (std::filesystem::directory_iterator task("/proc/self/task", error), end; !error && task != end;
       task.increment(error)) {
    if (task->path().filename() == own) continue;
    std::ifstream file(task->path() / "stat");
    const std::string stat{std::istreambuf_iterator<char>(file), {}};
    const std::size_t open = stat.find('(');
    const std::size_t close = stat.rfind(')');                              // a name may hold brackets
    if (open == std::string::npos || close == std::string::npos) continue;  // it has gone
    std::istringstream fields(stat.substr(close + 1));
    std::string state;
    long ignored = 0;  // parent, group, session, terminal, its group
    unsigned long flags = 0;
    fields >> state;
    for (int field = 0; field < 5; ++field)
      fields >> ignored;
    if (!(fields >> flags) || (flags & exiting) != 0) continue;
    names += (names.empty() ? "" : ", ") + stat.substr(open + 1, close - open - 1);
  }
#endif
  return names;
}

// Reads until the child has ended or closed the pipe; false: the deadline came first, or it wrote more than
// any row.
bool read_answer(int pipe, int child, Deadline deadline, std::string& answer) {
  std::array<char, 1 << 14> chunk{};
  while (answer.size() < longest_answer) {
    std::array<pollfd, 2> waited{{{pipe, POLLIN, 0}, {child, POLLIN, 0}}};
    const int ready = ::poll(waited.data(), waited.size(), deadline.poll_milliseconds());
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    const bool ended = waited[1].revents != 0;
    // The pipe does not block; after the child's end one pass takes all that it left.
    while (answer.size() < longest_answer) {
      const ssize_t got = ::read(pipe, chunk.data(), chunk.size());
      if (got == 0) return true;
      if (got < 0) break;
      answer.append(chunk.data(), static_cast<std::size_t>(got));
    }
    if (ended) return true;
  }
  return false;
}

// Ends the child and its group, and says how it ended. The zombie keeps the group's number from being used
// again.
int reap(pid_t child) {
  ::kill(-child, SIGKILL);
  ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

std::string ending(int status, bool in_time, Deadline deadline, Duration limit) {
  if (!in_time)
    return deadline.passed() ? fmt::format("it did not come back from this stage within its {:.3g} s and was stopped",
                                           std::chrono::duration<double>(limit).count())
                             : "it wrote into the host's pipe and was stopped";
  if (WIFSIGNALED(status))
    return fmt::format("it crashed in this stage: signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
  return fmt::format("it ended the process in this stage, with exit code {}", WEXITSTATUS(status));
}

// A plugin that cannot make an object is there and may be right: that is an error, not a refusal.
Refusal cut_short(const std::string& file, Stage stage, const std::string& how) {
  const ErrorCode code = stage == Stage::create ? ErrorCode::internal : ErrorCode::refused;
  return {stage, {code, fmt::format("{}: stage '{}': {}", file, to_string(stage), how)}};
}

}  // namespace

void check_in_child(const StageRun& run, Deadline deadline, DiscoveredPlugin& row) {
  const Duration limit = deadline.left();
  row.info.file = run.file;
  if (const std::string others = other_threads(); !others.empty()) {
    row.refusal = Refusal{
        std::nullopt,
        {ErrorCode::internal,
         fmt::format(
             "{}: it cannot be tried in a child process: this process has other threads ({}), and what they hold "
             "locked would stay locked in the child; plugins have to be loaded before threads start",
             run.file, others)}};
    return;
  }
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    row.refusal = Refusal{
        std::nullopt, {ErrorCode::resource_exhausted, fmt::format("{}: no pipe: {}", run.file, std::strerror(errno))}};
    return;
  }
  const pid_t child = ::fork();
  if (child == 0) child_main(run, ends[1]);
  ::close(ends[1]);
  if (child < 0) {
    row.refusal =
        Refusal{std::nullopt,
                {ErrorCode::resource_exhausted, fmt::format("{}: no process: {}", run.file, std::strerror(errno))}};
    ::close(ends[0]);
    return;
  }
  ::setpgid(child, child);  // both sides do it, so that it holds whoever runs first
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  // By its number: glibc 2.36 declares pidfd_open without C linkage. -1 on old kernels: then the pipe's end
  // has to do.
  const int watch = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
  std::string answer;
  const bool in_time = read_answer(ends[0], watch, deadline, answer);
  const std::string how = ending(reap(child), in_time, deadline, limit);
  if (watch >= 0) ::close(watch);
  ::close(ends[0]);
  if (const std::optional<Stage> stage = read_row(answer, row)) row.refusal = cut_short(run.file, *stage, how);
}

}  // namespace weft
