#include "process.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <vector>

extern char** environ;

namespace weft::mp {
namespace {

// What the child tells its parent when it cannot become the program, or (not fatal) cannot have its cgroup.
struct StartFailure {
  int error = 0;
  bool fatal = true;
  char stage[64] = {};
};

std::string errno_text(int error) {
  return std::string(strerrordesc_np(error) ? strerrordesc_np(error) : "unknown error");
}

// The executor's environment with the rank's own on top, as "NAME=value" strings.
std::vector<std::string> merged_environment(const RankSpec& spec) {
  std::vector<std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string_view name = text.substr(0, text.find('='));
    bool replaced = false;
    for (const auto& [key, value] : spec.env)
      replaced |= key == name;
    if (!replaced) merged.emplace_back(text);
  }
  for (const auto& [key, value] : spec.env)
    merged.push_back(key + "=" + value);
  return merged;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> made;
  made.reserve(strings.size() + 1);
  for (std::string& text : strings)
    made.push_back(text.data());
  made.push_back(nullptr);
  return made;
}

// All that the child needs, made before the fork: after it only async-signal-safe calls are legal.
struct ChildPlan {
  std::vector<std::string> arguments;
  std::vector<std::string> environment;
  std::vector<char*> argv;
  std::vector<char*> envp;
  std::vector<unsigned char> cpu_mask;
  int log = -1;
  int null = -1;
  int error_pipe = -1;
  int cgroup_door = -1;  // -1: it stays in its parent's
  pid_t parent = -1;
  bool die_with_parent = false;
};

bool tell_parent(const ChildPlan& plan, const char* stage, bool fatal) {
  StartFailure failure;
  failure.error = errno;
  failure.fatal = fatal;
  for (std::size_t i = 0; i + 1 < sizeof failure.stage && stage[i] != '\0'; ++i)
    failure.stage[i] = stage[i];
  return write(plan.error_pipe, &failure, sizeof failure) == sizeof failure;
}

[[noreturn]] void child_failed(const ChildPlan& plan, const char* stage) {
  _exit(tell_parent(plan, stage, true) ? 127 : 126);
}

// The kernel takes a mask of which one CPU can be had and leaves the others out. A rank that asks for a CPU has it, or does
// not start: it would share another rank's.
void take_cpus(const ChildPlan& plan) {
  unsigned char taken[1 << 13] = {};  // 65,536 CPUs; the kernel refuses a buffer for fewer than it has
  if (sched_setaffinity(0, plan.cpu_mask.size(), reinterpret_cast<const cpu_set_t*>(plan.cpu_mask.data())) != 0 ||
      sched_getaffinity(0, sizeof taken, reinterpret_cast<cpu_set_t*>(taken)) != 0)
    child_failed(plan, "sched_setaffinity");
  for (std::size_t i = 0; i < plan.cpu_mask.size() && i < sizeof taken; ++i) {
    if ((plan.cpu_mask[i] & ~taken[i]) == 0) continue;
    errno = EINVAL;
    child_failed(plan, "sched_setaffinity: a CPU that is not there, or not for it");
  }
}

[[noreturn]] void become(const ChildPlan& plan) {
  if (setpgid(0, 0) != 0) child_failed(plan, "setpgid");
  // Before the program runs, so that all that it starts is in there. "0" is who writes.
  if (plan.cgroup_door >= 0 && write(plan.cgroup_door, "0", 1) != 1) (void)tell_parent(plan, "its cgroup", false);
  if (plan.die_with_parent) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) child_failed(plan, "prctl");
    if (getppid() != plan.parent) _exit(126);  // the parent died before the signal was armed
  }
  // Ignored signals and the mask would outlive the exec; the program starts from a clean slate. By the system call: the C
  // library leaves out two signals of its own, which posix_spawn, of whoever started us, sets to be ignored.
  constexpr unsigned char default_action[64] = {};  // the kernel's struct: all zero is SIG_DFL
  for (int signal = 1; signal < NSIG; ++signal)
    if (signal != SIGKILL && signal != SIGSTOP) (void)syscall(SYS_rt_sigaction, signal, default_action, nullptr, 8);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (!plan.cpu_mask.empty()) take_cpus(plan);
  if (dup2(plan.null, 0) < 0 || dup2(plan.log, 1) < 0 || dup2(plan.log, 2) < 0) child_failed(plan, "dup2");
  // Libraries of the head open descriptors without O_CLOEXEC; a rank that inherits a socket keeps its port.
  if (syscall(SYS_close_range, 3U, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */) != 0) child_failed(plan, "close_range");
  execve(plan.argv[0], plan.argv.data(), plan.envp.data());
  child_failed(plan, "execve");
}

std::vector<unsigned char> cpu_mask(const std::vector<int>& cpus) {
  if (cpus.empty()) return {};
  int highest = 0;
  for (const int cpu : cpus)
    highest = cpu > highest ? cpu : highest;
  const std::size_t size = CPU_ALLOC_SIZE(static_cast<std::size_t>(highest) + 1);
  std::vector<unsigned char> mask(size, 0);
  for (const int cpu : cpus)
    CPU_SET_S(static_cast<std::size_t>(cpu), size, reinterpret_cast<cpu_set_t*>(mask.data()));
  return mask;
}

// A descriptor that closes itself, for the ways out of start().
struct Descriptor {
  int value = -1;
  explicit Descriptor(int fd) : value(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (value >= 0) close(value);
  }
  int release() noexcept { return std::exchange(value, -1); }
};

// A child that is in the cgroup from its first instant on (Linux 5.7): moving a process that runs costs milliseconds, in which the
// kernel waits for all CPUs. Like fork() but for the C library's handlers, which a child that makes async-signal-safe
// calls only has no use for. -1 where it cannot be: there is no cgroup, or a filter of system calls that does not know it.
pid_t fork_into(const Cgroup& cgroup) {
  const Descriptor folder(cgroup.open_folder());
  if (folder.value < 0) return -1;
  clone_args arguments{};
  arguments.flags = CLONE_INTO_CGROUP;
  arguments.exit_signal = SIGCHLD;
  arguments.cgroup = static_cast<std::uint64_t>(folder.value);
  return static_cast<pid_t>(syscall(SYS_clone3, &arguments, sizeof arguments));
}

}  // namespace

Result<Process> Process::start(const RankSpec& spec, bool die_with_parent, Cgroup cgroup) {
  const std::string log_path = spec.log_path.empty() ? "/dev/null" : spec.log_path;
  // Where this fails, so does the open, which says why.
  std::error_code ignored;
  if (const auto folder = std::filesystem::path(log_path).parent_path(); !folder.empty())
    std::filesystem::create_directories(folder, ignored);
  const Descriptor log(open(log_path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
  if (log.value < 0)
    return fail(ErrorCode::unavailable,
                "log " + log_path + ": " + errno_text(errno) + "; expected a file that can be appended to");
  const Descriptor null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  int ends[2] = {-1, -1};
  if (null.value < 0 || pipe2(ends, O_CLOEXEC) != 0)
    return fail(ErrorCode::resource_exhausted, "no descriptors left: " + errno_text(errno), true);
  Descriptor read_end(ends[0]);
  const Descriptor write_end(ends[1]);
  const Descriptor cgroup_door(cgroup.open_door());

  ChildPlan plan;
  plan.arguments = spec.argv;
  plan.environment = merged_environment(spec);
  plan.argv = pointers(plan.arguments);
  plan.envp = pointers(plan.environment);
  plan.cpu_mask = cpu_mask(spec.cpus);
  plan.log = log.value;
  plan.null = null.value;
  plan.error_pipe = write_end.value;
  plan.parent = getpid();
  plan.die_with_parent = die_with_parent;

  pid_t pid = fork_into(cgroup);
  if (pid < 0) {
    plan.cgroup_door = cgroup_door.value;
    pid = fork();
  }
  if (pid == 0) become(plan);
  if (pid < 0) return fail(ErrorCode::resource_exhausted, "fork: " + errno_text(errno), true);
  Process process;
  process.pid_ = pid;
  process.program_ = spec.argv.front();
  process.cgroup_ = std::move(cgroup);
  (void)setpgid(pid, pid);  // the child does it too: whoever comes first, the group is there when start() returns
  process.pidfd_ = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));  // glibc 2.36 declares it without C linkage
  if (process.pidfd_ < 0) return fail(ErrorCode::resource_exhausted, "pidfd_open: " + errno_text(errno), true);
  process.error_pipe_ = read_end.release();
  return process;
}

Status Process::finish_start() {
  StartFailure failure;
  const auto next = [&] {
    ssize_t got = 0;
    do {
      got = read(error_pipe_, &failure, sizeof failure);
    } while (got < 0 && errno == EINTR);
    return got == sizeof failure;
  };
  bool failed = next();
  for (; failed && !failure.fatal; failed = next())
    cgroup_problem_ = std::string("cannot move into ") + failure.stage + ": " + errno_text(failure.error);
  close(std::exchange(error_pipe_, -1));
  if (!failed) return {};
  (void)reap();
  return fail(ErrorCode::not_found, program_ + ": " + failure.stage + ": " + errno_text(failure.error));
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::exchange(other.pidfd_, -1)),
      error_pipe_(std::exchange(other.error_pipe_, -1)),
      program_(std::move(other.program_)),
      cgroup_(std::move(other.cgroup_)),
      cgroup_problem_(std::move(other.cgroup_problem_)) {}

Process& Process::operator=(Process&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(pidfd_, other.pidfd_);
  std::swap(error_pipe_, other.error_pipe_);
  std::swap(program_, other.program_);
  std::swap(cgroup_, other.cgroup_);
  std::swap(cgroup_problem_, other.cgroup_problem_);
  return *this;
}

Process::~Process() {
  if (pid_ > 0) {
    kill_all();
    (void)reap();
  }
  if (error_pipe_ >= 0) close(error_pipe_);
}

void Process::signal_group(int signal) const noexcept {
  if (pid_ > 0) (void)kill(-pid_, signal);
}

void Process::kill_all() const noexcept {
  signal_group(SIGKILL);
  cgroup_.kill();
}

Exit Process::reap() {
  siginfo_t info{};
  // Look first and reap last: while the leader is a zombie its number, and so the group's, cannot be given away.
  int result = 0;
  do {
    result = waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT);
  } while (result != 0 && errno == EINTR);
  signal_group(SIGKILL);
  if (const Status ended = cgroup_.end(); !ended) cgroup_problem_ = ended.error().message;
  do {
    result = waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED);
  } while (result != 0 && errno == EINTR);
  Exit exit;
  if (result != 0) {
    exit.detail = "waitid: " + errno_text(errno);
  } else if (info.si_code == CLD_EXITED) {
    exit.cause = Exit::Cause::code;
    exit.value = info.si_status;
  } else {
    exit.cause = Exit::Cause::signal;
    exit.value = info.si_status;
    if (info.si_code == CLD_DUMPED) exit.detail = "core dumped";
  }
  pid_ = -1;
  if (pidfd_ >= 0) close(std::exchange(pidfd_, -1));
  return exit;
}

}  // namespace weft::mp
