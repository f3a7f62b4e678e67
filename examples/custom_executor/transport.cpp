#include "transport.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

extern char** environ;

namespace remote {
namespace {

using weft::ErrorCode;
using weft::fail;

constexpr std::size_t longest_output = std::size_t{1} << 20;  // not yet taken; an agent's line is far shorter
constexpr std::size_t kept_errors = 2048;                     // the end of standard error

void close_fd(int& fd) noexcept {
  if (fd >= 0) close(std::exchange(fd, -1));
}

void do_not_block(int fd) noexcept { (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }

// The child's ends of its three streams; closed here once it has them.
struct ChildEnds {
  int in = -1;
  int out = -1;
  int err = -1;
  ~ChildEnds() {
    close_fd(in);
    close_fd(out);
    close_fd(err);
  }
};

// posix_spawn and not fork: nothing of ours runs between the two programs, in a process that may have many threads. It also
// tells at once that there is no such program. Signals start from a clean slate, whatever our thread blocks or ignores.
int spawn(const std::vector<std::string>& argv, const ChildEnds& ends, pid_t& pid) {
  std::vector<char*> words;
  for (const std::string& word : argv)
    words.push_back(const_cast<char*>(word.c_str()));  // execve's type; it writes nothing
  words.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_adddup2(&actions, ends.in, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, ends.out, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, ends.err, STDERR_FILENO);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  const int failed = posix_spawnp(&pid, words[0], &actions, &attributes, words.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return failed;
}

}  // namespace

weft::Result<std::unique_ptr<Transport>> Transport::start(const std::vector<std::string>& argv) {
  std::unique_ptr<Transport> made(new Transport());
  made->program_ = argv[0];
  std::array<int, 2> in{-1, -1};
  std::array<int, 2> out{-1, -1};
  std::array<int, 2> err{-1, -1};
  const bool opened = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in.data()) == 0 &&
                      pipe2(out.data(), O_CLOEXEC) == 0 && pipe2(err.data(), O_CLOEXEC) == 0;
  made->in_ = in[0];
  made->out_ = out[0];
  made->err_ = err[0];
  const ChildEnds ends{.in = in[1], .out = out[1], .err = err[1]};
  if (!opened) return fail(ErrorCode::resource_exhausted, argv[0] + ": no descriptors left", true);
  for (const int fd : {made->in_, made->out_, made->err_})
    do_not_block(fd);
  if (const int failed = spawn(argv, ends, made->pid_); failed != 0) {
    made->pid_ = -1;
    return fail(ErrorCode::unavailable, argv[0] + ": " + std::strerror(failed));
  }
  // Our child, not yet reaped: the number is still its own.
  made->pidfd_ = static_cast<int>(syscall(SYS_pidfd_open, made->pid_, 0));
  if (made->pidfd_ < 0) return fail(ErrorCode::resource_exhausted, argv[0] + ": no descriptors left", true);
  return made;
}

Transport::~Transport() {
  if (pid_ > 0) {
    kill();
    siginfo_t info{};
    while (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED) != 0 && errno == EINTR) {
    }
  }
  for (int* fd : {&pidfd_, &in_, &out_, &err_})
    close_fd(*fd);
}

void Transport::kill() const noexcept {
  if (pid_ > 0) (void)::kill(-pid_, SIGKILL);
}

// A closed stream is -1, which poll leaves out. Our end of the input is watched only while there is something to write: its
// other end may be long closed, and would keep poll awake.
void Transport::poll_entries(std::vector<pollfd>& entries) const {
  if (!to_send_.empty()) entries.push_back({in_, POLLOUT, 0});
  entries.push_back({out_, POLLIN, 0});
  entries.push_back({err_, POLLIN, 0});
  entries.push_back({pidfd_, POLLIN, 0});
}

void Transport::pump() {
  pump_input();
  read_into(errors_, err_, longest_output);
  if (errors_.size() > kept_errors) errors_.erase(0, errors_.size() - kept_errors);
  read_into(said_, out_, longest_output);
  reap_if_ended();
}

void Transport::pump_input() {
  while (in_ >= 0 && !to_send_.empty()) {
    const ssize_t sent = ::send(in_, to_send_.data(), to_send_.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) {  // nobody reads any more; its end tells why
      to_send_.clear();
      close_fd(in_);
      return;
    }
    to_send_.erase(0, static_cast<std::size_t>(sent));
  }
  if (end_input_ || in_ < 0) {
    to_send_.clear();
    close_fd(in_);
  }
}

// What there is, at most until `text` has `most` bytes; the rest stays with the sender.
void Transport::read_into(std::string& text, int& fd, std::size_t most) const {
  std::array<char, 16384> buffer;
  while (fd >= 0 && text.size() < most) {
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return close_fd(fd);
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

std::optional<std::string> Transport::next_line() {
  const std::size_t end = said_.find('\n');
  if (end == std::string::npos) {
    if (said_.size() >= longest_output) said_.clear();  // no agent's
    return std::nullopt;
  }
  std::string line = said_.substr(0, end);
  said_.erase(0, end + 1);
  return line;
}

void Transport::reap_if_ended() {
  if (pid_ < 0) return;
  siginfo_t info{};
  // Look first and reap last: while it is a zombie its number, and so its group's, cannot be given away.
  const bool looked = waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0;
  if (looked ? info.si_pid == 0 : errno == EINTR) return;
  end_ = "ended";  // and somebody else has reaped it
  if (looked) {
    kill();  // what it left of its group
    (void)waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED);
    end_ = info.si_code == CLD_EXITED ? "ended with code " + std::to_string(info.si_status)
                                      : "was killed by signal " + std::to_string(info.si_status);
  }
  pid_ = -1;
  close_fd(pidfd_);
  close_fd(in_);
  // What it said last is still in the pipes. A process that it left behind may hold them open: no waiting for that.
  read_into(errors_, err_, longest_output);
  read_into(said_, out_, longest_output);
  close_fd(err_);
  close_fd(out_);
}

std::string Transport::end_text() const {
  std::string errors = errors_.size() > kept_errors ? errors_.substr(errors_.size() - kept_errors) : errors_;
  while (!errors.empty() && (errors.back() == '\n' || errors.back() == '\r'))
    errors.pop_back();
  return program_ + " " + end_ + (errors.empty() ? "" : ": " + errors);
}

}  // namespace remote
