// The calls into one plugin's object: what it throws becomes an error that names it, and any thread may ask which call of
// which plugin has not come back. What stands between the host and an object of a kind (GuardedBalancer, GuardedExecutor)
// makes every call through one of these.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "weft/status.h"
#include "weft/time.h"

namespace weft {

// What an exception that crossed the boundary says. Call it inside a catch.
std::string caught();

// A call that has not come back.
struct PluginCall {
  std::string plugin;    // "load_balancer/least_loaded"
  std::string function;  // "pick"
  Time since{};
  Duration limit{};  // what takes longer is stuck; Duration::max(): nobody can say
};
// Of this process, the oldest first. Any thread, also while exit() runs inside a call.
std::vector<PluginCall> running_plugin_calls();

class PluginCalls {
 public:
  PluginCalls(std::string plugin, Duration limit) : plugin_(std::move(plugin)), limit_(limit) {}

  // What `call` returns, a Status or a Result; internal: it threw. Any thread, several at once.
  template <class Call>
  auto make(const char* function, Call&& call) const -> decltype(call()) {
    const Mark mark(*this, function);
    try {
      return call();
    } catch (...) {
      return fail(thrown(function));
    }
  }

 private:
  // Marks a call as running for as long as it lives. A process that ends within the call never takes the mark away.
  class Mark {
   public:
    Mark(const PluginCalls& calls, const char* function);
    ~Mark();
    Mark(const Mark&) = delete;
    Mark& operator=(const Mark&) = delete;
    PluginCall call() const;

   private:
    const PluginCalls& calls_;
    const char* const function_;
    const Time since_ = Clock::now();
  };
  struct Running;  // the marks of this process
  friend std::vector<PluginCall> running_plugin_calls();

  Error thrown(const char* function) const;  // inside a catch

  const std::string plugin_;
  const Duration limit_;
};

}  // namespace weft
