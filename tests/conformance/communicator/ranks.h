// The ranks of a case: real processes, forked before the case's own process has loaded anything, or threads of one process. A
// case says what every rank does; the first rank that fails ends them all and is the case's failure.
//
//   void barrier_waits(Context& context) {
//     World world(context);
//     world.run(3, [](Rank& rank) {
//       auto group = rank.open("barrier/1");
//       rank.finish(group->barrier({}), "barrier");
//     });
//   }
//
// Threads stand in for processes under the thread sanitizer, which does not see across processes, and where the profile has the
// fixture "ranks_as_threads"; what kills, stops or measures a process asks for processes.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/conformance/communicator/store_server.h"
#include "tests/conformance/harness/context.h"
#include "weft/communicator.h"

namespace weft::conformance {

// Words that every rank of a case sees, for what must not go through the plugin: counters of who has come, hashes of results.
struct Board {
  static constexpr std::size_t cells = 4096;
  std::atomic<std::uint64_t> cell[cells];
};

// One rank's view.
struct Rank {
  Context& context;
  std::int32_t index;
  std::int32_t count;  // of the run
  Board& board;
  StoreClient& store;
  Communicator& communicator;

  // Members are called "rank 10 (tp 0)", "rank 11 (tp 1)", ...: never a name that a position would give.
  GroupSpec spec(std::string id) const;
  std::unique_ptr<Group> open(std::string id) const { return open(spec(std::move(id))); }
  std::unique_ptr<Group> open(const GroupSpec& spec) const;
  // Waits for what a call gave; the case fails with its error.
  void finish(Result<Work> work, std::string_view doing) const;
  // The error of a call or of its wait; the case fails where there is none, or where the wait took more than `limit`.
  Error failure(Result<Work> work, Duration limit, std::string_view doing, Deadline deadline = Deadline::never()) const;
  void close(std::unique_ptr<Group>& group) const;

  // Until every rank of the run has come to the point of this name, through the case's store: no help of the plugin's. A name
  // serves once a case.
  void meet(const std::string& point) const;
  // Tells whoever awaits the mark, and waits for one.
  void mark(const std::string& name) const;
  void await(const std::string& name) const;
  // Waits until a mark comes or the time is over; whether it came.
  bool mark_within(const std::string& name, Duration limit) const;
  Duration scaled(Duration duration) const { return context.scaled(duration); }
};

std::string member_name(std::int32_t position);
// A deadline for what should succeed: generous, and before the case's own.
Deadline patience(const Context& context);

class World {
 public:
  enum class As : std::uint8_t { either, processes, threads };
  using Body = std::function<void(Rank&)>;

  // First thing in a case: it forks.
  explicit World(Context& context);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // `count` ranks from begin to end. May be called again.
  void run(std::int32_t count, const Body& body, As as = As::either);

  // For cases that end some of them: start one process of `count`, ...
  void start(std::int32_t rank, std::int32_t count, const Body& body);
  // ... do something to it, ...
  void kill(std::int32_t rank);  // and wait until it is gone
  void stop(std::int32_t rank);  // SIGSTOP, and wait until it stands still
  // ... and wait for the good end of all that are left; those that were stopped are killed at the end.
  void finish();
  void await(const std::string& mark);
  void mark(const std::string& name);

  StoreClient& store() noexcept { return store_; }
  Board& board() noexcept { return *board_; }
  // Fails the case if a key of the plugin's is left.
  void expect_no_keys(std::string_view when);

 private:
  struct Process {
    pid_t pid = -1;
    int report = -1;  // a pipe
    bool stopped = false;
    std::string told;
  };

  void run_threads(std::int32_t count, const Body& body);
  [[noreturn]] void child(std::int32_t rank, std::int32_t count, const Body& body, int report);
  // Empty where the process ended well.
  std::string ending(std::int32_t rank, Process& process);
  // Reads what reports there are.
  bool some_failed();
  void end_all() noexcept;

  Context& context_;
  Board* board_;
  StoreServer server_;
  ServedStore store_;
  std::map<std::int32_t, Process> processes_;
  PluginHandle<Communicator> communicator_;  // of runs as threads
};

}  // namespace weft::conformance
