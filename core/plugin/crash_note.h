// A word at the end: where a plugin's code crashes in this process, standard error says whose it was before the process
// ends as it would have.
#pragma once

#include <signal.h>

#include <array>
#include <atomic>
#include <mutex>
#include <string>
#include <string_view>

namespace weft {

// What handlers of crashes share.
namespace crash_detail {
inline constexpr std::array<int, 5> signals{SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

// What happens at these signals was somebody's before it was ours.
struct Dispositions {
  // `block_all`: none of them interrupts the handler.
  void take(void (*handler)(int), bool block_all);
  void give_back(void (*handler)(int)) const;  // where the handler still is; another's in its place stays
  // In the handler: what was to happen happens as soon as it returns. Safe there, as what follows is.
  void pass_on(int signal) const;

  std::array<struct sigaction, signals.size()> before{};
};

extern std::atomic<bool> spoken;           // a CrashNote has said whose code it was
void write_all(std::string_view text);     // to standard error
std::string_view signal_text(int signal);  // a line's end
}  // namespace crash_detail

// While one lives, SIGSEGV, SIGBUS, SIGILL, SIGFPE and SIGABRT first write "weft: WHERE: the process crashed in it: SIGNAL" to standard
// error; then what was to happen happens: a core file, a sanitizer's report, an end by that signal. It changes no
// outcome. One at a time in a process: a second one waits. A handler that the plugin has put in its place stays.
class CrashNote {
 public:
  explicit CrashNote(const std::string& where);
  ~CrashNote();
  CrashNote(const CrashNote&) = delete;
  CrashNote& operator=(const CrashNote&) = delete;

 private:
  std::lock_guard<std::mutex> alone_;
};

}  // namespace weft
