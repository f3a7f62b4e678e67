#include "tests/conformance/harness/context.h"

#include <cxxabi.h>
#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <optional>
#include <thread>
#include <typeinfo>

#include "tests/conformance/harness/plugin_file.h"
#include "tests/conformance/harness/plugin_options.h"

namespace weft::conformance {
namespace {

// Of the run's seed and the case's id (FNV-1a), so that a case draws the same alone as among others.
std::mt19937_64 generator_of(std::uint64_t seed, std::string_view id) {
  std::uint64_t hash = 14695981039346656037U ^ seed;
  for (const char letter : id)
    hash = (hash ^ static_cast<unsigned char>(letter)) * 1099511628211U;
  return std::mt19937_64(hash);
}

}  // namespace

std::string describe_exception(std::string_view left) {
  std::string what;
  int failed = 0;
  const std::type_info* const type = abi::__cxa_current_exception_type();
  const std::unique_ptr<char, void (*)(void*)> name(
      type == nullptr ? nullptr : abi::__cxa_demangle(type->name(), nullptr, nullptr, &failed), &std::free);
  try {
    throw;
  } catch (const std::exception& error) {
    what = fmt::format(": {}", error.what());
  } catch (...) {
  }
  return fmt::format(
      "an exception left {} ({}{}), expected an error as a value: where a call of the plugin threw it, "
      "catch it there and return weft::fail(...)",
      left, name == nullptr ? "of unknown type" : name.get(), what);
}

Context::Context(Setup setup)
    : setup_(std::move(setup)),
      plugins_(std::make_unique<PluginHost>(PluginHost::Options{})),
      random_(generator_of(setup_.seed, setup_.running == nullptr ? "" : setup_.running->id)) {}

Context::~Context() = default;

const LoadedPlugin& Context::plugin() {
  if (plugin_ == nullptr) {
    const auto named = name_of_file(setup_.plugin_file);
    plugin_ =
        take(plugins_->load(
                 {.kind = named ? named->kind : "", .name = named ? named->name : "", .path = setup_.plugin_file}),
             "load");
  }
  return *plugin_;
}

Duration Context::scaled(Duration duration) const {
  return std::chrono::duration_cast<Duration>(duration * profile().limit("time_scale"));
}

bool Context::declares(std::string_view capability) { return plugin().has(capability); }

PluginOptions Context::options(const std::vector<std::pair<std::string, std::string>>& overrides) {
  CheckedOptions checked = plugin_options(setup_.profile, plugin().info, overrides);
  if (!checked.problems.empty())
    fail(fmt::format("options: {}: {}", checked.problems.front().where, checked.problems.front().message));
  return std::move(checked.options);
}

void Context::fail(std::string message) const { throw Ended{.skipped = false, .message = std::move(message)}; }
void Context::skip(std::string why) const { throw Ended{.skipped = true, .message = std::move(why)}; }

void Context::expect_ok(const Status& status, std::string_view doing) const {
  if (!status) fail(std::string(doing) + ": " + weft::to_string(status.error()));
}

void Context::expect_code(const Error* error, ErrorCode code, std::string_view doing) const {
  if (error == nullptr) fail(fmt::format("{}: it succeeded, expected {}", doing, weft::to_string(code)));
  if (error->code != code)
    fail(fmt::format("{}: {}, expected {}", doing, weft::to_string(*error), weft::to_string(code)));
  if (error->message.empty()) fail(fmt::format("{}: {} without a message", doing, weft::to_string(code)));
}

void Context::wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& changed,
                         const std::function<bool()>& ready, Duration limit, std::string_view otherwise) const {
  const Deadline until = Deadline::in(limit).earlier(setup_.deadline);
  // Waits for an hour at most at a time: the library's arithmetic overflows at Time::max().
  while (!ready()) {
    if (until.passed()) fail(std::string(otherwise));
    changed.wait_for(lock, std::min<Duration>(until.left(), std::chrono::hours(1)));
  }
}

void Context::run_threads(int count, const std::function<void(int)>& body) const {
  std::mutex mutex;  // guards first
  std::optional<Ended> first;
  const auto guarded = [&](int index) {
    std::optional<Ended> ended;
    try {
      body(index);
    } catch (Ended& early) {
      ended = std::move(early);
    } catch (const std::exception&) {
      ended = Ended{.skipped = false, .message = describe_exception(fmt::format("the case's thread {}", index))};
    }
    const std::lock_guard lock(mutex);
    if (ended && (!first || (first->skipped && !ended->skipped))) first = std::move(ended);
  };
  std::vector<std::thread> threads;
  threads.reserve(static_cast<std::size_t>(count));
  for (int index = 0; index < count; ++index)
    threads.emplace_back([&guarded, index] {
      ::pthread_setname_np(::pthread_self(), fmt::format("case-{}", index).c_str());
      guarded(index);
    });
  for (std::thread& thread : threads)
    thread.join();
  if (first) throw std::move(*first);
}

void Context::note(std::string text) {
  const std::lock_guard lock(mutex_);
  notes_.push_back(std::move(text));
}

void Context::proves(std::string_view capability) {
  const std::lock_guard lock(mutex_);
  proven_.emplace(capability);
}

std::vector<std::string> Context::proven() const {
  const std::lock_guard lock(mutex_);
  return {proven_.begin(), proven_.end()};
}

std::vector<std::string> Context::notes() const {
  const std::lock_guard lock(mutex_);
  return notes_;
}

}  // namespace weft::conformance
