#include "tests/integration/agent/agent_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <cstring>

namespace weft::test {
namespace {

constexpr Duration patience = std::chrono::seconds(60);

bool wait_readable(int fd, Deadline deadline) {
  pollfd one{fd, POLLIN, 0};
  int ready = 0;
  do {
    ready = poll(&one, 1, deadline.poll_milliseconds());
  } while (ready < 0 && errno == EINTR);
  return ready > 0;
}

}  // namespace

AgentProcess::AgentProcess() {
  std::array<int, 2> input{};
  std::array<int, 2> output{};
  if (pipe2(input.data(), O_CLOEXEC) != 0 || pipe2(output.data(), O_CLOEXEC) != 0) return;
  pid_ = fork();
  if (pid_ == 0) {
    (void)dup2(input[0], 0);
    (void)dup2(output[1], 1);
    // A descriptor that a transport left open: the rank is not to have it.
    (void)dup2(output[1], 9);
    // As posix_spawn leaves it, where its caller asks for defaults: one of the C library's own signals is ignored.
    constexpr struct {
      std::uintptr_t handler = 1;  // SIG_IGN
      std::array<unsigned char, 56> rest{};
    } ignore;
    (void)syscall(SYS_rt_sigaction, 33, &ignore, nullptr, 8);
    execl(WEFT_BUILD_DIR "/bin/weft", "weft", "agent", static_cast<char*>(nullptr));
    _exit(127);
  }
  close(input[0]);
  close(output[1]);
  in_ = input[1];
  out_ = output[0];
  pidfd_ = open_pidfd(pid_);
}

AgentProcess::~AgentProcess() {
  end_input();
  close(out_);
  if (pid_ > 0) {
    (void)kill(pid_, SIGKILL);
    (void)waitpid(pid_, nullptr, 0);
  }
  close(pidfd_);
}

void AgentProcess::send(const std::string& bytes) const {
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t wrote = write(in_, bytes.data() + done, bytes.size() - done);
    if (wrote < 0) return;  // the agent has gone; what it said tells why
    done += static_cast<std::size_t>(wrote);
  }
}

void AgentProcess::end_input() {
  if (in_ >= 0) close(std::exchange(in_, -1));
}

Json AgentProcess::next() {
  const Deadline deadline = Deadline::in(patience);
  for (;;) {
    if (const std::size_t end = said_.find('\n'); end != std::string::npos) {
      const std::string line = said_.substr(0, end);
      said_.erase(0, end + 1);
      Json event = Json::parse(line, nullptr, false);
      EXPECT_TRUE(event.is_object()) << line;
      return event;
    }
    std::array<char, 4096> buffer{};
    if (!wait_readable(out_, deadline)) {
      ADD_FAILURE() << "no event within a minute";
      return {};
    }
    const ssize_t got = read(out_, buffer.data(), buffer.size());
    if (got <= 0) return {};
    said_.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

int AgentProcess::wait() {
  if (!wait_readable(pidfd_, Deadline::in(patience))) {
    ADD_FAILURE() << "the agent has not ended within a minute";
    return -1;
  }
  int status = 0;
  (void)waitpid(std::exchange(pid_, -1), &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

Bell::Bell(const TemporaryDirectory& directory) : path_(directory.file("bell")) {
  (void)mkfifo(path_.c_str(), 0600);
  fd_ = open(path_.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK);  // open for writing too, so that it never ends
}

Bell::~Bell() { close(fd_); }

std::string Bell::wait() {
  std::string line;
  const Deadline deadline = Deadline::in(patience);
  while (line.find('\n') == std::string::npos) {
    if (!wait_readable(fd_, deadline)) {
      ADD_FAILURE() << "the rank has said nothing within a minute";
      return {};
    }
    std::array<char, 256> buffer{};
    const ssize_t got = read(fd_, buffer.data(), buffer.size());
    if (got > 0) line.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return line.substr(0, line.find('\n'));
}

bool wait_gone(int pidfd) { return wait_readable(pidfd, Deadline::in(patience)); }

int open_pidfd(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

Json shell(const std::string& script) { return {{"weft_agent", 1}, {"argv", {"/bin/sh", "-c", script}}}; }

}  // namespace weft::test
