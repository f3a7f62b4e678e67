#include "tests/conformance/mutants/executor/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <utility>

#include "tests/conformance/mutants/executor/reporter.h"
#include "tests/conformance/mutants/switch.h"

extern "C" char** environ;

namespace weft::mutant {
namespace {

// A keeper's own descriptors, all others closed.
constexpr int control_fd = 3;
constexpr int status_fd = 4;
constexpr int null_fd = 5;
constexpr int log_fd = 6;
constexpr unsigned first_other_fd = 7;

// Everything that is needed after the fork, where no memory may be taken any more.
struct Plan {
  std::vector<std::string> argument_texts;
  std::vector<std::string> variable_texts;
  std::vector<char*> arguments;
  std::vector<char*> variables;
  cpu_set_t cpus{};
  bool bound = false;
  bool die_with_head = true;
  std::array<int, 4> descriptors{-1, -1, -1, -1};  // in the order above
  // Broken rules; getenv() is not for after a fork.
  bool keeps_children = false, keeps_mask = false, keeps_descriptors = false, same_group = false;
  bool term_for_the_rank = false, keeps_children_when_told = false, ends_the_stopped = false;
  bool output_limited = false, input_open = false, output_only = false, kills_at_once = false, keeps_strays = false;
};

void switch_on(Plan& plan) {
  plan.keeps_children = breaks("children_live_on");
  plan.keeps_mask = breaks("signals_inherited");
  plan.keeps_descriptors = breaks("descriptors_inherited");
  plan.same_group = breaks("one_group_for_all");
  plan.output_limited = breaks("half_a_megabyte");
  plan.input_open = breaks("input_inherited");
  plan.output_only = breaks("errors_lost");
  plan.kills_at_once = breaks("no_term");
  plan.keeps_strays = breaks("strays_live_on");
  plan.term_for_the_rank = breaks("term_for_the_rank_alone");
  plan.keeps_children_when_told = breaks("the_stopped_leave_children");
  plan.ends_the_stopped = breaks("a_stopped_process_has_ended");
}

std::vector<std::string> environment_of(const RankSpec& rank) {
  std::vector<std::string> all;
  for (const auto& [name, value] : rank.env)
    all.push_back(name + "=" + value);
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string text(*variable);
    bool replaced = false;
    for (const auto& [name, value] : rank.env)
      replaced = replaced || text.compare(0, name.size() + 1, name + "=") == 0;
    if (!replaced || breaks("variables_twice")) all.push_back(text);
  }
  return all;
}

std::vector<std::string> arguments_of(const RankSpec& rank) {
  std::vector<std::string> all = rank.argv;
  if (breaks("empty_arguments_dropped")) std::erase(all, std::string());
  for (std::string& text : all)
    if (breaks("long_arguments_cut") && text.size() > 65536) text.resize(65536);
  if (!breaks("through_a_shell")) return all;
  std::string line = "exec";
  for (const std::string& text : all)
    line += " \"" + text + "\"";
  return {"/bin/sh", "-c", line};
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts)
    pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

void tell(Record::What what, int value) {
  const Record record{what, value};
  (void)!::write(status_fd, &record, sizeof record);
}

void plain_signals() {
  for (int number = 1; number < NSIG; ++number)
    ::signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void become_rank(const Plan& plan, int failure) {
  if (!plan.same_group) ::setpgid(0, 0);
  if (!plan.keeps_mask) plain_signals();
  const bool placed = !plan.bound || ::sched_setaffinity(0, sizeof plan.cpus, &plan.cpus) == 0;
  if (!plan.input_open) ::dup2(null_fd, 0);
  ::dup2(log_fd, 1);
  ::dup2(plan.output_only ? null_fd : log_fd, 2);
  for (int own = control_fd; own <= log_fd; ++own)
    ::fcntl(own, F_SETFD, FD_CLOEXEC);
  if (!plan.keeps_descriptors) ::syscall(SYS_close_range, 3U, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */);
  const rlimit half_a_megabyte{.rlim_cur = 1U << 19, .rlim_max = 1U << 19};
  if (plan.output_limited) ::setrlimit(RLIMIT_FSIZE, &half_a_megabyte);
  if (placed) ::execve(plan.arguments[0], plan.arguments.data(), plan.variables.data());
  const int error = errno;
  (void)!::write(failure, &error, sizeof error);
  ::_exit(127);
}

// Kills and reaps whatever has this process for its parent, again and again: orphans below come to it.
void end_family() {
  std::array<char, 64> path{};
  std::snprintf(path.data(), path.size(), "/proc/self/task/%d/children", static_cast<int>(::getpid()));
  while (true) {
    const int file = ::open(path.data(), O_RDONLY | O_CLOEXEC);
    std::array<char, 4096> text{};
    const ssize_t size = file < 0 ? 0 : ::read(file, text.data(), text.size() - 1);
    if (file >= 0) ::close(file);
    pid_t child = 0;
    for (ssize_t at = 0; at < size; ++at) {
      if (text[static_cast<std::size_t>(at)] != ' ') {
        child = child * 10 + (text[static_cast<std::size_t>(at)] - '0');
      } else if (child > 0) {
        ::kill(child, SIGKILL);
        child = 0;
      }
    }
    if (::waitpid(-1, nullptr, size > 0 ? 0 : WNOHANG) <= 0) return;
  }
}

bool is_stopped(pid_t rank) {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(rank), &info, WSTOPPED | WNOHANG | WNOWAIT) == 0 && info.si_pid == rank;
}

// Until the rank has ended: does what the control socket says. The last word that it said, 0 where there was none.
char watch_rank(const Plan& plan, pid_t rank) {
  char told = 0;
  const int ended = static_cast<int>(::syscall(SYS_pidfd_open, rank, 0));
  bool listens = true;
  while (true) {
    std::array<pollfd, 2> waited{{{ended, POLLIN, 0}, {listens ? control_fd : -1, POLLIN, 0}}};
    const int ready = ::poll(waited.data(), waited.size(), plan.ends_the_stopped ? 1 : -1);
    if (plan.ends_the_stopped && is_stopped(rank)) break;
    if (ready <= 0) continue;
    if (waited[0].revents != 0) break;
    char word = 0;
    const ssize_t got = ::read(control_fd, &word, 1);
    if (got == 1) told = word;
    if (got == 1 && word == 'T') {
      ::kill(plan.same_group || plan.term_for_the_rank ? rank : -rank, plan.kills_at_once ? SIGKILL : SIGTERM);
    } else if (got == 1 || plan.die_with_head) {
      ::kill(rank, SIGKILL);
    }
    listens = got == 1;
  }
  ::close(ended);
  return told;
}

[[noreturn]] void keep(const Plan& plan) {
  if (!plan.same_group) ::setsid();
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  ::signal(SIGCHLD, SIG_DFL);  // an ignored one would reap behind our back
  ::signal(SIGPIPE, SIG_IGN);
  std::array<int, 2> failure{-1, -1};
  if (::pipe2(failure.data(), O_CLOEXEC) != 0) ::_exit(1);
  const pid_t rank = ::fork();
  if (rank == 0) become_rank(plan, failure[1]);
  ::close(failure[1]);
  for (const int standard : {0, 1, 2})
    ::dup2(null_fd, standard);
  int error = rank < 0 ? errno : 0;
  if (rank < 0 || ::read(failure[0], &error, sizeof error) > 0) {
    end_family();
    tell(Record::What::failed, error);
    ::_exit(0);
  }
  ::close(failure[0]);
  if (!plan.same_group) ::setpgid(rank, rank);
  tell(Record::What::started, rank);
  const char told = watch_rank(plan, rank);
  const bool keeps_children = plan.keeps_children || (told != 0 && plan.keeps_children_when_told) || told == 'A';
  int status = 0;
  if (!keeps_children && !plan.same_group) ::kill(-rank, SIGKILL);
  while (::waitpid(rank, &status, 0) < 0 && errno == EINTR) {
  }
  if (!keeps_children && !plan.keeps_strays) end_family();
  if (WIFEXITED(status))
    tell(Record::What::code, WEXITSTATUS(status));
  else
    tell(Record::What::signal, WTERMSIG(status));
  ::_exit(0);
}

// Only what the keeper needs stays open: another rank's control socket would not end with the head.
[[noreturn]] void settle_and_keep(Plan& plan) {
  for (int& descriptor : plan.descriptors)
    descriptor = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 64);
  int to = control_fd;
  for (const int descriptor : plan.descriptors)
    ::dup2(descriptor, to++);
  if (!plan.keeps_descriptors) ::syscall(SYS_close_range, first_other_fd, ~0U, 0U);
  keep(plan);
}

int open_log(const RankSpec& rank) {
  if (rank.log_path.empty() && breaks("output_to_the_head")) return ::fcntl(1, F_DUPFD_CLOEXEC, 3);
  if (rank.log_path.empty()) return ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  std::error_code ignored;
  if (!breaks("no_folders")) {
    std::filesystem::create_directories(std::filesystem::path(rank.log_path).parent_path(), ignored);
  }
  const int how = breaks("log_begins_anew") ? O_TRUNC : O_APPEND;
  const int log = ::open(rank.log_path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | how, 0600);
  return log < 0 && breaks("any_log_is_fine") ? ::open("/dev/null", O_WRONLY | O_CLOEXEC) : log;
}

Plan plan_of(const RankSpec& rank, bool die_with_head) {
  Plan plan;
  switch_on(plan);
  plan.argument_texts = arguments_of(rank);
  plan.variable_texts = environment_of(rank);
  plan.arguments = pointers_to(plan.argument_texts);
  plan.variables = pointers_to(plan.variable_texts);
  plan.bound = !rank.cpus.empty() && !breaks("cpus_ignored");
  CPU_ZERO(&plan.cpus);
  for (const int cpu : rank.cpus)
    CPU_SET(static_cast<std::size_t>(cpu), &plan.cpus);
  plan.die_with_head = die_with_head;
  if (breaks("outlives_its_head")) plan.die_with_head = false;
  if (breaks("never_outlives_its_head")) plan.die_with_head = true;
  return plan;
}

}  // namespace

Result<Keeper> Keeper::start(const RankSpec& rank, bool die_with_head) {
  prepare_reports();
  Plan plan = plan_of(rank, die_with_head);
  std::array<int, 2> control{-1, -1};
  std::array<int, 2> status{-1, -1};
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  const int log = open_log(rank);
  if (log < 0) {
    const std::string why = std::strerror(errno);
    ::close(null);
    return fail(ErrorCode::unavailable, "log " + rank.log_path + ": " + why);
  }
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control.data()) != 0 ||
      ::pipe2(status.data(), O_CLOEXEC) != 0) {
    for (const int open : {null, log, control[0], control[1]})
      ::close(open);
    return fail(ErrorCode::resource_exhausted, "no descriptors are left");
  }
  plan.descriptors = {control[0], status[1], null, log};
  Keeper keeper;
  keeper.pid_ = ::fork();
  if (keeper.pid_ == 0) settle_and_keep(plan);
  for (const int given : plan.descriptors)
    ::close(given);
  keeper.control_ = control[1];
  keeper.status_ = status[0];
  if (keeper.pid_ < 0) return fail(ErrorCode::resource_exhausted, "fork: " + std::string(std::strerror(errno)));
  count_ranks(1);
  return keeper;
}

Keeper::Keeper(Keeper&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      control_(std::exchange(other.control_, -1)),
      status_(std::exchange(other.status_, -1)) {}

Keeper& Keeper::operator=(Keeper&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(control_, other.control_);
  std::swap(status_, other.status_);
  return *this;
}

Keeper::~Keeper() {
  if (pid_ > 0) {
    kill();
    count_ranks(-1);
  }
  if (control_ >= 0) ::close(control_);
  while (pid_ > 0 && !breaks("leaves_zombies") && ::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (status_ >= 0 && !breaks("leaks_descriptors")) ::close(status_);
}

Record Keeper::next() const {
  Record record;
  ssize_t got = 0;
  do {
    got = ::read(status_, &record, sizeof record);
  } while (got < 0 && errno == EINTR);
  if (got != sizeof record) return {Record::What::signal, SIGKILL};  // somebody has killed the keeper
  return record;
}

void Keeper::command(char word) const {
  (void)::send(control_, &word, 1, MSG_NOSIGNAL);  // the keeper may have gone
}

}  // namespace weft::mutant
