#include "tests/conformance/plugin/footprint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cfenv>
#include <clocale>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <locale>
#include <new>
#include <sstream>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

extern "C" char** environ;

namespace weft::conformance {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> open_descriptors() {
  std::vector<std::string> found;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc/self/fd", error)) {
    const std::string target = fs::read_symlink(entry.path(), error).string();
    // The look's own descriptor, which is gone by now.
    if (!error && target.find("/proc/") != 0)
      found.push_back(fmt::format("{} ({})", target, entry.path().filename().string()));
  }
  return found;
}

std::string first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::vector<std::string> running_threads() {
  std::vector<std::string> found;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc/self/task", error))
    found.push_back(fmt::format("{} ({})", first_line(entry.path() / "comm"), entry.path().filename().string()));
  return found;
}

enum class Which : std::uint8_t { all, living, copies };

// "12 (name) S 1 ...", from the state on.
bool is_one_of(std::string_view stat, Which which) {
  constexpr unsigned forked_without_exec = 0x40;  // PF_FORKNOEXEC of linux/sched.h
  if (which == Which::all) return true;
  if (stat.starts_with('Z') || stat.starts_with('X')) return false;
  std::istringstream words{std::string(stat)};
  std::string word;
  for (int field = 3; field < 9; ++field)  // as proc(5) counts them, up to the ninth: flags
    words >> word;
  unsigned flags = 0;
  words >> flags;
  return which == Which::living || (flags & forked_without_exec) != 0;
}

// "sleep (123)" of each process that has this parent.
std::vector<std::string> children_of(pid_t parent, Which which) {
  std::vector<std::string> found;
  std::error_code error;
  const std::string wanted = fmt::format("{}", parent);
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc", error)) {
    const std::string pid = entry.path().filename().string();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    // "12 (name) S 1 ...": state, then the parent.
    const std::string line = first_line(entry.path() / "stat");
    const std::size_t close = line.rfind(')');
    if (close == std::string::npos || close + 4 >= line.size()) continue;
    if (!is_one_of(std::string_view(line).substr(close + 2), which)) continue;
    if (line.substr(close + 4, line.find(' ', close + 4) - close - 4) == wanted)
      found.push_back(line.substr(line.find('(') + 1, close - line.find('(') - 1) + " (" + pid + ")");
  }
  return found;
}

std::string words_more(std::string_view what, std::vector<std::string> after, std::vector<std::string> before) {
  std::sort(after.begin(), after.end());
  std::sort(before.begin(), before.end());
  std::vector<std::string> more;
  std::set_difference(after.begin(), after.end(), before.begin(), before.end(), std::back_inserter(more));
  std::string text;
  for (const std::string& one : more)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", what, one);
  return text;
}

std::string name_of_signal(int number) {
  const char* const name = ::sigabbrev_np(number);
  return name == nullptr ? fmt::format("signal {}", number) : fmt::format("SIG{}", name);
}

std::string members_of(const sigset_t& set) {
  std::string text;
  for (int number = 1; number < NSIG; ++number)
    if (sigismember(&set, number) == 1) text += fmt::format("{} ", number);
  return text;
}

std::map<std::string, std::string> handlers() {
  constexpr unsigned restorer = 0x0400'0000;  // SA_RESTORER: the C library's, there from the first sigaction on
  std::map<std::string, std::string> all;
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action {};
    if (::sigaction(number, nullptr, &action) != 0) continue;
    all[name_of_signal(number)] =
        fmt::format("{:x}, flags {:x}, blocks {}", reinterpret_cast<std::uintptr_t>(action.sa_handler),
                    static_cast<unsigned>(action.sa_flags) & ~restorer, members_of(action.sa_mask));
  }
  return all;
}

std::string mask() {
  sigset_t blocked;
  sigemptyset(&blocked);
  ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
  return members_of(blocked);
}

std::string limits() {
  std::string text;
  for (int resource = 0; resource < static_cast<int>(RLIMIT_NLIMITS); ++resource) {
    struct rlimit limit {};
    ::getrlimit(static_cast<__rlimit_resource>(resource), &limit);
    text += fmt::format("{}:{}/{} ", resource, limit.rlim_cur, limit.rlim_max);
  }
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  ::sched_getaffinity(0, sizeof cpus, &cpus);
  text += fmt::format("nice {} policy {} cpus", ::getpriority(PRIO_PROCESS, 0), ::sched_getscheduler(0));
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &cpus)) text += fmt::format(" {}", cpu);
  return text;
}

std::string floating_point() {
  std::string text = fmt::format("rounding {}", std::fegetround());
#if defined(__x86_64__)
  text += fmt::format(" mxcsr {:#x}", _mm_getcsr() & ~0x3fU);  // without the flags that arithmetic raises
#endif
  return text;
}

// A name that stands there twice has both values, so that a change of either is seen.
std::map<std::string, std::string> variables() {
  std::map<std::string, std::string> all;
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    const std::string_view text(*variable);
    const std::size_t equals = text.find('=');
    // Without a '=' nobody knows how much of it is a name.
    const std::string name(equals == std::string_view::npos ? "(an entry without a name)" : text.substr(0, equals));
    (all[name] += text) += '\0';
  }
  return all;
}

}  // namespace

Holdings look_at_holdings() { return {open_descriptors(), running_threads(), children_of(::getpid(), Which::all)}; }

std::string more_in(const Holdings& after, const Holdings& before) {
  std::string text;
  for (const std::string& part :
       {words_more("descriptor", after.descriptors, before.descriptors),
        words_more("thread", after.threads, before.threads), words_more("child", after.children, before.children)})
    if (!part.empty()) text += (text.empty() ? "" : ", ") + part;
  return text;
}

namespace {

// Of this process, and those that were orphaned by one of its own: the warden's then.
std::string processes(Which children, Which orphans) {
  const std::string self = fmt::format("({})", ::getpid());
  std::vector<std::string> adopted = children_of(::getppid(), orphans);
  std::erase_if(adopted, [&self](const std::string& one) { return one.ends_with(self); });
  const std::string own = words_more("child", children_of(::getpid(), children), {});
  const std::string others = words_more("orphan", std::move(adopted), {});
  return own + (own.empty() || others.empty() ? "" : ", ") + others;
}

// Fails unless `left()` soon names nothing.
void expect_soon_empty(Context& context, const std::function<std::string()>& left, std::string_view when) {
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  const Deadline deadline = Deadline::in(context.scaled(std::chrono::seconds(1)));
  while (true) {
    const std::string more = left();
    if (more.empty()) return;
    if (deadline.passed()) context.fail(fmt::format("{}: {}", when, more));
    // Nothing tells when the kernel has taken a thread's or a process's entry away.
    never.wait_for(lock, std::chrono::milliseconds(5));
  }
}

}  // namespace

void expect_no_more(Context& context, const Holdings& before, std::string_view when) {
  expect_soon_empty(
      context, [&] { return more_in(look_at_holdings(), before); }, when);
}

void expect_no_processes(Context& context, std::string_view when) {
  expect_soon_empty(
      context, [] { return processes(Which::all, Which::living); }, when);
}

void expect_no_copies(Context& context, std::string_view when) {
  expect_soon_empty(
      context, [] { return processes(Which::copies, Which::copies); },
      fmt::format("{}, forked and without an exec", when));
}

Settings look_at_settings() {
  const mode_t mode = ::umask(0);
  ::umask(mode);
  std::error_code error;
  const std::terminate_handler terminate = std::get_terminate();
  const std::new_handler no_memory = std::get_new_handler();
  return {.signal_handlers = handlers(),
          .signal_mask = mask(),
          .directory = fmt::format("{} umask {:o}", fs::current_path(error).string(), mode),
          .environment = variables(),
          .locale = fmt::format("{} / {}", std::setlocale(LC_ALL, nullptr), std::locale().name()),
          .floating_point = floating_point(),
          .limits = limits(),
          .cxx_handlers = fmt::format("terminate {:x} new {:x}", reinterpret_cast<std::uintptr_t>(terminate),
                                      reinterpret_cast<std::uintptr_t>(no_memory))};
}

std::string change(const std::string& before, const std::string& after) {
  return before == after ? "" : fmt::format("'{}' became '{}'", before, after);
}

std::string change(const std::map<std::string, std::string>& before, const std::map<std::string, std::string>& after) {
  std::vector<std::string> parts;
  for (const auto& [name, value] : after)
    if (!before.contains(name)) parts.push_back("added " + name);
  for (const auto& [name, value] : before)
    if (const auto now = after.find(name); now == after.end())
      parts.push_back("removed " + name);
    else if (now->second != value)
      parts.push_back("changed " + name);
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace weft::conformance
