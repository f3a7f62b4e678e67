// A random history of a router, the same each time for the same seed: requests come, move on and end, leaders report.
#pragma once

#include <functional>
#include <vector>

#include "tests/conformance/balancer/fleet.h"

namespace weft::conformance {

struct Live {
  RequestId id = 0;
  ReplicaId replica = -1;
  std::int32_t max_tokens = 0;
  std::int32_t generated = 0;
};

// What a script has done so far, for one that meddles.
struct Progress {
  Fleet& fleet;
  int step = 0;
  std::vector<Live> live = {};
  std::vector<Live> ended = {};
  std::vector<std::uint64_t> stats_sequences = {};  // the latest of each replica, by id
};

struct ScriptOptions {
  std::uint64_t seed = 1;
  int steps = 600;
  ReplicaId replicas = 5;
  std::int64_t incarnation = 3;                     // of all of them
  Duration later{};                                 // the whole history, by so much
  std::function<void(Progress&)> meddle = nullptr;  // after each step
};

// The decisions, in order.
std::vector<ReplicaId> run_script(Context& context, const ScriptOptions& options);

// Fails at the first pick that differs: `expected` is how it goes without, `found` where `with` ("events came twice");
// `remedy` is what a balancer should do.
void expect_same_picks(Context& context, const std::vector<ReplicaId>& expected, const std::vector<ReplicaId>& found,
                       std::string_view with, std::string_view remedy);

// What `junk` tells a balancer must be ignored: it decides as one that was not told. `calm` is what both are told.
void expect_ignored(Context& context, const std::function<void(Progress&)>& junk, std::string_view what,
                    const std::function<void(Progress&)>& calm = nullptr);

}  // namespace weft::conformance
