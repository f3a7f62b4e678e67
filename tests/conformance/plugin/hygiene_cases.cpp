// What a plugin leaves alone in the process that it is a guest of, from its loading to its last object's end.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <utility>

#include "tests/conformance/harness/sanitizer.h"
#include "tests/conformance/plugin/bare.h"
#include "tests/conformance/plugin/footprint.h"
#include "tests/conformance/plugin/groups.h"

namespace weft::conformance {
namespace {

namespace fs = std::filesystem;

// What is written to a standard descriptor while it lives.
class Capture {
 public:
  explicit Capture(int standard)
      : standard_(standard), kept_(::dup(standard)), memory_(::memfd_create("capture", MFD_CLOEXEC)) {
    flush();
    ::dup2(memory_, standard_);
  }
  ~Capture() {
    flush();
    ::dup2(kept_, standard_);
    ::close(kept_);
    ::close(memory_);
  }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  // What was written until now does not count.
  void begin_again() const {
    flush();
    (void)!::ftruncate(memory_, 0);
    ::lseek(memory_, 0, SEEK_SET);
  }
  std::string text() const {
    flush();
    std::array<char, 400> first{};
    const ssize_t got = ::pread(memory_, first.data(), first.size(), 0);
    return {first.data(), got > 0 ? static_cast<std::size_t>(got) : 0};
  }

 private:
  static void flush() {
    std::cout.flush();
    std::fflush(nullptr);
  }
  const int standard_;
  const int kept_;
  const int memory_;
};

void writes_nothing_to(Context& context, int standard, std::string_view name) {
  std::string written;
  {
    const Capture capture(standard);
    Bare(context).working_life();
    written = capture.text();
  }
  context.expect(written.empty(), fmt::format("it wrote to {}: {}", name, written));
}
void standard_output(Context& context) { writes_nothing_to(context, 1, "standard output"); }
void standard_error(Context& context) { writes_nothing_to(context, 2, "standard error"); }

// One of the Settings before, with an object alive and at work, and after.
template <auto member>
void keeps(Context& context) {
  const auto before = look_at_settings().*member;
  const auto expect_kept = [&](std::string_view step) {
    const std::string changed = change(before, look_at_settings().*member);
    context.expect(changed.empty(), fmt::format("{} changed it: {}", step, changed));
  };
  Bare bare(context);
  bare.load();
  bare.probe();
  expect_kept("loading or probing");
  void* const object = bare.create();
  expect_kept("create");
  bare.work(object);
  expect_kept("its work");
  bare.query(object, "weft.test/nothing");
  bare.destroy(object);
  expect_kept("query or destroy");
}

volatile sig_atomic_t last_signal = 0;

// One for each signal: none has what a plugin could mean to set, so that whatever it sets is a change.
template <int number>
void note_signal(int) {
  last_signal = number;
}

bool ends_a_faulty_process(int number) {
  constexpr std::array faults{SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS};
  return std::find(faults.begin(), faults.end(), number) != faults.end();
}

template <int number>
void give_it_a_handler() {
  if (number == SIGKILL || number == SIGSTOP) return;
  struct sigaction action {};
  action.sa_handler = &note_signal<number>;
  // A plugin's crash stays one: its handler is asked once, then the fault comes again.
  action.sa_flags = ends_a_faulty_process(number) ? static_cast<int>(SA_RESETHAND) : SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaddset(&action.sa_mask, SIGWINCH);
  ::sigaction(number, &action, nullptr);
}

template <int... before>
void give_handlers(std::integer_sequence<int, before...>) {
  (give_it_a_handler<before + 1>(), ...);
}

void signal_dispositions(Context& context) {
  constexpr int signals = 31;  // all but the real-time ones
  give_handlers(std::make_integer_sequence<int, signals>());
  keeps<&Settings::signal_handlers>(context);
}

std::string files_in(const fs::path& directory) {
  std::string names;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(directory))
    names += (names.empty() ? "" : ", ") + entry.path().filename().string();
  return names;
}

void leaves_no_files(Context& context) {
  for (const char* variable : {"HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"})
    ::setenv(variable, context.directory().c_str(), 1);
  fs::current_path(context.directory());
  Bare(context).whole_life();
  const std::string names = files_in(context.directory());
  context.expect(names.empty(), "it left files in the working or temporary directory: " + names);
}

// How a process ends that had the plugin: its wait status, and what it wrote on the way.
void ends_in_peace(Context& context) {
  if (sanitized) context.skip(std::string(sanitizer_skip) + "it has work of its own at a process's end");
  const Capture output(1);
  const Capture errors(2);
  const pid_t child = ::fork();
  if (child == 0) {
    Bare(context).whole_life();
    output.begin_again();
    errors.begin_again();
    std::exit(7);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  context.expect(WIFEXITED(status) && WEXITSTATUS(status) == 7,
                 fmt::format("exit(7) after the last object ended with wait status {:#x}", status));
  context.expect(output.text().empty() && errors.text().empty(),
                 "something was written at the process's end: " + output.text() + errors.text());
}

void leaves_children_of_others(Context& context) {
  std::array<pid_t, 2> children{};
  for (pid_t& child : children) {
    child = ::fork();
    if (child == 0) ::_exit(3);
    siginfo_t ended{};
    ::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT);  // a zombie now, for anyone to take
  }
  Bare(context).working_life();
  for (const pid_t child : children) {
    int status = 0;
    context.expect(::waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 3,
                   "the exit of a process that the host had started was taken away");
  }
}

}  // namespace

std::vector<Case> hygiene_cases() {
  return {
      {"PL-50", Level::must, "", "1", "a plugin writes nothing to standard output",
       "What the host prints there is read by programs.", standard_output},
      {"PL-51", Level::must, "", "1", "a plugin writes nothing to standard error: it logs through the host",
       "A log line without time, level and rank is lost among those of a hundred ranks.", standard_error},
      {"PL-52", Level::must, "", "1", "signal handlers are the host's", "The host stops cleanly by them.",
       signal_dispositions},
      {"PL-53", Level::must, "", "1", "the calling thread's signal mask stays", "Blocked signals do not stop a run.",
       keeps<&Settings::signal_mask>},
      {"PL-54", Level::must, "", "1", "working directory and umask stay",
       "Relative paths and new files are the user's.", keeps<&Settings::directory>},
      {"PL-55", Level::must, "", "1", "the environment stays", "Workers inherit it, and threads read it.",
       keeps<&Settings::environment>},
      {"PL-56", Level::must, "", "1", "the locale stays", "A comma in a number breaks every file that is written.",
       keeps<&Settings::locale>},
      {"PL-57", Level::must, "", "1", "the calling thread's rounding and denormal modes stay",
       "Two ranks must compute the same bits.", keeps<&Settings::floating_point>},
      {"PL-58", Level::must, "", "1", "resource limits, and the calling thread's priority and CPUs stay",
       "The plan gives each rank its CPUs.", keeps<&Settings::limits>},
      {"PL-59", Level::must, "", "1", "the handlers of std::terminate and new stay",
       "They are the process's, not a guest's.", keeps<&Settings::cxx_handlers>},
      {"PL-60", Level::must, "", "1", "no file is left in the working, home or temporary directory",
       "Disks fill over weeks.", leaves_no_files},
      {"PL-61", Level::must, "", "1",
       "after its last object a process with the plugin ends in silence, with its own exit code",
       "Nothing of a plugin runs at exit.", ends_in_peace},
      {"PL-62", Level::must, "", "1", "exits of the host's other children are left to the host",
       "A wait for any child takes the exit of somebody else's.", leaves_children_of_others},
  };
}

}  // namespace weft::conformance
