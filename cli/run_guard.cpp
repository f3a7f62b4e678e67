#include "cli/run_guard.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>

#include "cli/exit_code.h"
#include "core/plugin/plugin_calls.h"

namespace weft::cli {
namespace {

// Of this process, and never destroyed: handlers of exit() come late.
struct GuardState {
  std::atomic<pid_t> armed{0};  // the process that has a guard; a forked child has another id
  std::mutex mutex;             // guards what follows
  std::string token;
  std::string endpoint;
};

GuardState& guard_state() {
  static GuardState* const only = new GuardState;
  return *only;
}

// No destructor and no handler of exit() runs any more: they may need what the stuck or ended thread holds.
[[noreturn]] void end_process(int code, const std::string& text) {
  GuardState& now = guard_state();
  const std::lock_guard lock(now.mutex);
  const std::string line =
      fmt::format("error: {}{}\n", text, now.token.empty() ? "" : "; answers that were written stay");
  (void)!write(STDERR_FILENO, line.data(), line.size());
  for (const std::string& file : {now.token, now.endpoint})
    if (!file.empty()) (void)unlink(file.c_str());
  _exit(code);
}

std::string calls_text(const std::vector<PluginCall>& calls) {
  std::string text;
  for (const PluginCall& call : calls)
    text += fmt::format("{}plugin {} in {}", text.empty() ? "" : ", or ", call.plugin, call.function);
  return text;
}

void on_exit_of_process() {
  if (guard_state().armed.load() != getpid()) return;
  const std::vector<PluginCall> calls = running_plugin_calls();
  if (calls.empty())
    end_process(exit_refused, "the process was ended by a call of exit(), in a plugin or in a library of one");
  end_process(exit_refused, fmt::format("the process was ended by {}, which called exit()", calls_text(calls)));
}

}  // namespace

RunGuard::RunGuard() : outer_(guard_state().armed.exchange(getpid())) {
  // Again each time: handlers run in the reverse order, and those of a plugin that was loaded meanwhile may wait for
  // what the ended thread holds. Without memory for it a run is only unguarded.
  (void)std::atexit(on_exit_of_process);
  (void)std::at_quick_exit(on_exit_of_process);
}

RunGuard::~RunGuard() {
  GuardState& now = guard_state();
  now.armed.store(outer_);
  if (outer_ == getpid()) return;
  const std::lock_guard lock(now.mutex);
  now.token.clear();
  now.endpoint.clear();
}

void RunGuard::set_run_directory(const std::string& path) {
  GuardState& now = guard_state();
  const std::lock_guard lock(now.mutex);
  now.token = path + "/token";
  now.endpoint = path + "/endpoint";
}

void end_if_stuck(Duration ago, Duration patience) {
  const auto seconds = [](Duration time) { return std::chrono::duration_cast<std::chrono::seconds>(time).count(); };
  const std::vector<PluginCall> calls = running_plugin_calls();
  const Time now = Clock::now();
  for (const PluginCall& call : calls)
    if (std::min(ago, now - call.since) >= call.limit)
      end_process(exit_interrupted, fmt::format("ended by force: plugin {} has been in {} for {} s", call.plugin,
                                                call.function, seconds(now - call.since)));
  if (ago < patience) return;
  const std::string where = calls.empty() ? "" : fmt::format(" ({})", calls_text(calls));
  end_process(exit_interrupted, fmt::format("ended by force: it did not stop within {} s{}", seconds(ago), where));
}

}  // namespace weft::cli
