#include "tests/integration/run/child.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

extern char** environ;

namespace weft::test {
namespace {

// "NAME=value" strings: this process's environment with the spec's own on top.
std::vector<std::string> environment_of(const ChildSpec& spec) {
  std::map<std::string, std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text(*entry);
    const std::size_t equals = text.find('=');
    merged[text.substr(0, equals)] = equals == std::string::npos ? "" : text.substr(equals + 1);
  }
  for (const auto& [name, value] : spec.env)
    merged[name] = value;
  std::vector<std::string> strings;
  for (const auto& [name, value] : merged)
    strings.push_back(name + "=" + value);
  return strings;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> made;
  for (std::string& text : strings)
    made.push_back(text.data());
  made.push_back(nullptr);
  return made;
}

[[noreturn]] void become(const ChildSpec& spec, const std::vector<char*>& argv, const std::vector<char*>& envp, int out,
                         int err) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // Root's exec gives back whatever the bounding set still has.
  if (spec.obeys_permissions) prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE);
  if (!spec.directory.empty() && chdir(spec.directory.c_str()) != 0) _exit(127);
  const int null = open("/dev/null", O_RDONLY);
  if (dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) _exit(127);
  execve(argv[0], argv.data(), envp.data());
  _exit(127);
}

std::pair<Descriptor, Descriptor> make_pipe() {
  std::array<int, 2> ends{-1, -1};
  EXPECT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  EXPECT_EQ(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

// Takes what is there. False at the end of the stream.
bool take(const Descriptor& from, std::string& into) {
  std::array<char, 65536> bytes{};
  for (;;) {
    const ssize_t got = read(from.get(), bytes.data(), bytes.size());
    if (got < 0) return true;
    if (got == 0) return false;
    into.append(bytes.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace

Descriptor::~Descriptor() {
  if (value_ >= 0) close(value_);
}

Descriptor open_pidfd(pid_t pid) { return Descriptor(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))); }

bool wait_readable(const Descriptor& descriptor, Deadline deadline) {
  pollfd entry{descriptor.get(), POLLIN, 0};
  return poll(&entry, 1, deadline.poll_milliseconds()) == 1;
}

Child::Child(ChildSpec spec) {
  std::vector<std::string> environment = environment_of(spec);
  const std::vector<char*> argv = pointers(spec.argv);
  const std::vector<char*> envp = pointers(environment);
  auto [out_read, out_write] = make_pipe();
  auto [err_read, err_write] = make_pipe();
  pid_ = fork();
  if (pid_ == 0) become(spec, argv, envp, out_write.get(), err_write.get());
  EXPECT_GT(pid_, 0);
  (void)setpgid(pid_, pid_);  // the child does it too; whoever comes first
  pidfd_ = open_pidfd(pid_);
  out_pipe_ = std::move(out_read);
  err_pipe_ = std::move(err_read);
}

Child::~Child() {
  if (pid_ <= 0 || pidfd_.get() < 0) return;
  (void)kill(pid_, SIGKILL);
  (void)waitpid(pid_, nullptr, 0);
}

void Child::signal(int number) const { EXPECT_EQ(kill(pid_, number), 0); }
void Child::signal_group(int number) const { EXPECT_EQ(kill(-pid_, number), 0); }

bool Child::ended() const { return wait_readable(pidfd_, Deadline(Time::min())); }

void Child::listen(Deadline deadline, int wakes) {
  std::array<pollfd, 4> entries{
      {{pidfd_.get(), POLLIN, 0}, {out_pipe_.get(), POLLIN, 0}, {err_pipe_.get(), POLLIN, 0}, {wakes, POLLIN, 0}}};
  (void)poll(entries.data(), entries.size(), deadline.poll_milliseconds());
  if (out_pipe_.get() >= 0 && !take(out_pipe_, out_)) out_pipe_ = Descriptor();
  if (err_pipe_.get() >= 0 && !take(err_pipe_, err_)) err_pipe_ = Descriptor();
}

bool Child::wait_until(const std::function<bool()>& done, const Descriptor* wakes) {
  const Deadline deadline = Deadline::in(patience);
  for (;;) {
    const bool over = ended() || deadline.passed();  // before the last look, so that nothing is missed
    listen(Deadline(Time::min()), -1);
    if (done()) return true;
    if (over) return false;
    listen(deadline, wakes == nullptr ? -1 : wakes->get());
  }
}

bool Child::wait_for(const std::string& text) {
  return wait_until([&] { return err_.find(text) != std::string::npos; });
}

int Child::wait() {
  if (wait_until([&] { return ended(); })) listen(Deadline(Time::min()), -1);
  if (!ended()) return -1;
  siginfo_t info{};
  if (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED) != 0) return -1;
  pidfd_ = Descriptor();
  return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

}  // namespace weft::test
