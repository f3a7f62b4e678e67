#include "core/plugin/plugin_calls.h"

#include <algorithm>
#include <exception>
#include <mutex>

namespace weft {

// Never destroyed: handlers of exit() come late.
struct PluginCalls::Running {
  std::mutex mutex;  // guards the marks; held for a moment, never in a plugin's call
  std::vector<const Mark*> marks;

  static Running& only() {
    static Running* const running = new Running;
    return *running;
  }
};

std::string caught() {
  try {
    throw;
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "of unknown type";
  }
}

PluginCalls::Mark::Mark(const PluginCalls& calls, const char* function) : calls_(calls), function_(function) {
  Running& running = Running::only();
  const std::lock_guard lock(running.mutex);
  running.marks.push_back(this);
}

PluginCalls::Mark::~Mark() {
  Running& running = Running::only();
  const std::lock_guard lock(running.mutex);
  running.marks.erase(std::find(running.marks.begin(), running.marks.end(), this));
}

PluginCall PluginCalls::Mark::call() const {
  return {.plugin = calls_.plugin_, .function = function_, .since = since_, .limit = calls_.limit_};
}

std::vector<PluginCall> running_plugin_calls() {
  PluginCalls::Running& running = PluginCalls::Running::only();
  std::vector<PluginCall> calls;
  const std::lock_guard lock(running.mutex);
  for (const PluginCalls::Mark* mark : running.marks)
    calls.push_back(mark->call());
  return calls;
}

Error PluginCalls::thrown(const char* function) const {
  return {ErrorCode::internal, "plugin " + plugin_ + ": " + function + " threw an exception: " + caught(), false};
}

}  // namespace weft
