#include "cli/run_guard.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <mutex>

#include "cli/exit_code.h"

namespace weft::cli {
namespace {

// A pick takes microseconds, and what a regular stop at once has to wait for a few seconds.
constexpr Duration call_patience = std::chrono::seconds(3);
constexpr Duration stop_patience = std::chrono::seconds(30);

// Of this process, and never destroyed: handlers of exit() come late.
struct GuardState {
  std::atomic<pid_t> armed{0};  // the process that has a guard; a forked child has another id
  std::mutex mutex;             // guards what follows
  const GuardedBalancer* balancer = nullptr;
  std::string token;
  std::string endpoint;
};

GuardState& guard_state() {
  static GuardState* const only = new GuardState;
  return *only;
}

// No destructor and no handler of exit() runs any more: they may need what the stuck or ended thread holds.
[[noreturn]] void end_process(const GuardState& now, int code, const std::string& text) {
  (void)!write(STDERR_FILENO, text.data(), text.size());
  for (const std::string& file : {now.token, now.endpoint})
    if (!file.empty()) (void)unlink(file.c_str());
  _exit(code);
}

void on_exit_of_process() {
  GuardState& now = guard_state();
  if (now.armed.load() != getpid()) return;
  const std::lock_guard lock(now.mutex);
  const auto call = now.balancer != nullptr ? now.balancer->call() : std::nullopt;
  const std::string who =
      call ? fmt::format("by plugin {} in {}", now.balancer->plugin(), call->function)
           : std::string("by a call of exit() while the run was on, in a plugin or in a library of one");
  end_process(
      now, exit_refused,
      fmt::format("error: the process was ended {}; answers that were written stay. With a plugin that does not, "
                  "the same command goes on\n",
                  who));
}

}  // namespace

RunGuard::RunGuard(const GuardedBalancer& balancer) {
  static const bool registered = std::atexit(on_exit_of_process) == 0 && std::at_quick_exit(on_exit_of_process) == 0;
  static_cast<void>(registered);  // without memory for it a run is only unguarded
  GuardState& now = guard_state();
  const std::lock_guard lock(now.mutex);
  now.balancer = &balancer;
  now.armed.store(getpid());
}

RunGuard::~RunGuard() {
  GuardState& now = guard_state();
  const std::lock_guard lock(now.mutex);
  now.armed.store(0);
  now.balancer = nullptr;
  now.token.clear();
  now.endpoint.clear();
}

void RunGuard::set_run_directory(const std::string& path) {
  GuardState& now = guard_state();
  const std::lock_guard lock(now.mutex);
  now.token = path + "/token";
  now.endpoint = path + "/endpoint";
}

void end_if_stuck(Duration ago) {
  GuardState& now = guard_state();
  const std::lock_guard lock(now.mutex);
  const auto call = now.balancer != nullptr ? now.balancer->call() : std::nullopt;
  const Duration running = call ? Clock::now() - call->since : Duration::zero();
  const auto seconds = [](Duration time) { return std::chrono::duration_cast<std::chrono::seconds>(time).count(); };
  if (ago >= call_patience && running >= call_patience)
    end_process(
        now, exit_interrupted,
        fmt::format("error: ended by force: plugin {} has been in {} for {} s; answers that were written stay\n",
                    now.balancer->plugin(), call->function, seconds(running)));
  if (ago >= stop_patience)
    end_process(now, exit_interrupted,
                fmt::format("error: ended by force: it did not stop within {} s; answers that were written stay\n",
                            seconds(ago)));
}

}  // namespace weft::cli
