// What a case's body gets: the plugin under test, its profile, and how to say what came out.
//
//   void exits_are_reported_once(Context& context) {
//     auto executor = context.create<Executor>();
//     ...
//     context.expect(exits == 1, fmt::format("rank 0 has {} exits, expected 1", exits));
//   }
//
// A body runs in a process of its own that ends with it, so it need not tidy up what a broken plugin leaves behind; but
// what it started must be seen to be gone, where that is the rule. fail(), skip() and a failed expectation leave the body
// by an exception (Ended), which the harness catches; a body's own threads hand theirs over (see run_threads).
//
// Threads: the body's; expect() and its kin may be called from threads of run_threads().
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/plugin/plugin_host.h"
#include "tests/conformance/harness/case.h"
#include "tests/conformance/harness/profile.h"
#include "weft/host.h"
#include "weft/status.h"
#include "weft/time.h"

namespace weft::conformance {

// How a body ends early. Not a std::exception, so that no handler of a plugin's or a library's takes it for its own.
struct Ended {
  bool skipped = false;
  std::string message;
};

// Within a handler: what is being handled, its type, what() and what to do about it, for a message. Not for Ended.
std::string describe_exception(std::string_view left);

// HostServices that write down what the plugin does with them.
class RecordingHost final : public HostServices {
 public:
  void log(LogLevel level, std::string_view message) noexcept override;
  bool log_enabled(LogLevel level) const noexcept override;
  Time now() const noexcept override;
  void counter_add(std::string_view name, double value) noexcept override;
  void gauge_set(std::string_view name, double value) noexcept override;
  void observe(std::string_view name, double value) noexcept override;
  StoreClient* store() noexcept override { return store_client; }
  std::span<const int> cpus() const noexcept override { return allowed_cpus; }
  void* query(std::string_view interface_id) noexcept override;

  std::vector<std::string> lines() const;  // what was logged, as "info: ..."

  StoreClient* store_client = nullptr;  // set before create()
  std::vector<int> allowed_cpus;

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

class Context {
 public:
  struct Setup {
    const Case* running = nullptr;
    std::string plugin_file;
    Profile profile;
    std::uint64_t seed = 1;
    Level level = Level::must;        // what was asked for: a case may try more at a higher one
    std::filesystem::path directory;  // empty, of this case alone; removed afterwards
    std::string program;              // this binary, for @programs
    Deadline deadline{Time::max()};
  };
  explicit Context(Setup setup);
  ~Context();

  // Loaded through every stage up to probe; a refusal fails the case.
  const LoadedPlugin& plugin();
  bool declares(std::string_view capability);
  // An object made with the profile's [config], `overrides` (TOML text by key) put over it; a refusal fails the case.
  template <class Interface>
  PluginHandle<Interface> create(const std::vector<std::pair<std::string, std::string>>& overrides = {}) {
    return take(try_create<Interface>(overrides), "create");
  }
  template <class Interface>
  Result<PluginHandle<Interface>> try_create(const std::vector<std::pair<std::string, std::string>>& overrides = {}) {
    auto made = create_plugin<Interface>(plugin(), options(overrides), host());
    if (!made) return tl::unexpected<Error>(made.error());
    return std::move(*made);
  }
  // The values that create() would get.
  PluginOptions options(const std::vector<std::pair<std::string, std::string>>& overrides = {});

  const Setup& setup() const noexcept { return setup_; }
  const Profile& profile() const noexcept { return setup_.profile; }
  RecordingHost& host() noexcept { return host_; }
  const std::filesystem::path& directory() const noexcept { return setup_.directory; }
  const std::string& program() const noexcept { return setup_.program; }
  Deadline deadline() const noexcept { return setup_.deadline; }
  // `duration` as the profile's time_scale stretches it: for bounds on time, and for deadlines.
  Duration scaled(Duration duration) const;
  Level level() const noexcept { return setup_.level; }
  // Of this case and the run's --seed; the same draws when the printed command is repeated.
  std::mt19937_64& random() noexcept { return random_; }

  [[noreturn]] void fail(std::string message) const;
  [[noreturn]] void skip(std::string why) const;
  void expect(bool holds, std::string_view otherwise) const {
    if (!holds) fail(std::string(otherwise));
  }
  void expect_ok(const Status& status, std::string_view doing) const;
  // The value, or the case fails with the error.
  template <class T>
  T take(Result<T> result, std::string_view doing) const {
    if (!result) fail(std::string(doing) + ": " + to_string(result.error()));
    return std::move(*result);
  }
  template <class T>
  void expect_error(const Result<T>& result, ErrorCode code, std::string_view doing) const {
    expect_code(result ? nullptr : &result.error(), code, doing);
  }
  // Waits on `ready` (no polling of the plugin: for flags that a sink or thread sets under `mutex`), at most `limit` and
  // never past the case's deadline; fails with `otherwise`.
  void wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& changed,
                  const std::function<bool()>& ready, Duration limit, std::string_view otherwise) const;
  // Runs body(0) ... body(count - 1) in threads at once; the first failure of any of them is the case's. All are joined.
  void run_threads(int count, const std::function<void(int)>& body) const;
  // A remark that goes into the report beside the outcome ("64 ranks in 41 ms").
  void note(std::string text);
  std::vector<std::string> notes() const;
  // A declared capability that the case puts to work though its `needs` do not ask for it, as one type among several: the
  // report counts the case as proof of it.
  void proves(std::string_view capability);
  std::vector<std::string> proven() const;

 private:
  void expect_code(const Error* error, ErrorCode code, std::string_view doing) const;

  const Setup setup_;
  RecordingHost host_;
  std::unique_ptr<PluginHost> plugins_;
  const LoadedPlugin* plugin_ = nullptr;
  std::mt19937_64 random_;
  mutable std::mutex mutex_;
  std::vector<std::string> notes_;
  std::set<std::string> proven_;
};

}  // namespace weft::conformance
