// Set-up and tear-down commands of a profile.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tests/conformance/harness/run_cases.h"
#include "weft/time.h"

namespace weft::conformance {
namespace {

[[noreturn]] void become(const std::vector<std::string>& command, const std::string& directory) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::dup2(2, 1);  // standard output is the run's own
  std::vector<char*> argv;
  for (const std::string& word : command)
    argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  if (directory.empty() || ::chdir(directory.c_str()) == 0) ::execvp(argv[0], argv.data());
  fmt::print(stderr, "{}: {}\n", command.front(), std::strerror(errno));
  ::_exit(127);
}

}  // namespace

Status run_command(const std::vector<std::string>& command, const std::string& directory,
                   std::chrono::milliseconds limit) {
  if (command.empty()) return {};
  const std::string named = fmt::format("'{}'", fmt::join(command, " "));
  const pid_t child = ::fork();
  if (child == 0) become(command, directory);
  if (child < 0) return fail(ErrorCode::resource_exhausted, fmt::format("{}: {}", named, std::strerror(errno)));
  const Deadline deadline = Deadline::in(limit);
  const int watch = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
  pollfd waited{watch, POLLIN, 0};
  int ready = 0;
  do
    ready = ::poll(&waited, 1, deadline.poll_milliseconds());
  while (ready < 0 && errno == EINTR);
  ::close(watch);
  if (ready <= 0) ::kill(-child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (ready <= 0) return fail(ErrorCode::deadline_exceeded, fmt::format("{} took over {} ms", named, limit.count()));
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return fail(ErrorCode::failed_precondition,
                fmt::format("{} failed ({} {})", named, WIFEXITED(status) ? "exit code" : "signal",
                            WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status)));
  return {};
}

}  // namespace weft::conformance
