#include "core/cluster/replica_state.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace weft {
namespace {

constexpr std::array event_names = {"placed",    "joined", "ready to run", "drain", "undrain", "drained", "stop",
                                    "rank lost", "failed", "deadline",     "gone",  "retry",   "relaunch"};
constexpr std::array states = {"launching", "joining", "loading", "ready", "draining", "stopped", "down", "backoff"};

// Every state (row) and every event (column); "-" has no meaning there.
constexpr std::array<std::array<const char*, event_names.size()>, states.size()> expected = {{
    // placed   joined     ready    drain       undrain  drained    stop       lost    failed  deadline   gone       retry      relaunch
    {"joining", "-", "-", "-", "-", "-", "stopped", "down", "down", "down", "-", "-", "-"},         // launching
    {"-", "loading", "-", "-", "-", "-", "stopped", "down", "down", "down", "-", "-", "-"},         // joining
    {"-", "-", "ready", "-", "-", "-", "stopped", "down", "down", "down", "-", "-", "-"},           // loading
    {"-", "-", "-", "draining", "-", "-", "stopped", "down", "down", "down", "-", "-", "-"},        // ready
    {"-", "-", "-", "-", "ready", "stopped", "stopped", "down", "down", "stopped", "-", "-", "-"},  // draining
    {"-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "stopped", "-", "-"},                        // stopped
    {"-", "-", "-", "-", "-", "-", "stopped", "-", "-", "-", "down", "backoff", "-"},               // down
    {"-", "-", "-", "-", "-", "-", "stopped", "-", "-", "-", "-", "-", "launching"},                // backoff
}};

TEST(ReplicaState, EveryEventInEveryStateLeadsWhereTheTableSays) {
  for (std::size_t state = 0; state < states.size(); ++state) {
    EXPECT_EQ(to_string(static_cast<ReplicaState>(state)), states[state]);
    for (std::size_t event = 0; event < event_names.size(); ++event) {
      const auto next = next_state(static_cast<ReplicaState>(state), static_cast<ReplicaEvent>(event));
      EXPECT_EQ(next ? to_string(*next) : "-", expected[state][event]) << states[state] << ", " << event_names[event];
    }
  }
}

TEST(ReplicaState, EveryEventHasItsName) {
  for (std::size_t event = 0; event < event_names.size(); ++event)
    EXPECT_EQ(to_string(static_cast<ReplicaEvent>(event)), event_names[event]);
}

TEST(ReplicaState, OnlyAReadyReplicaTakesRequests) {
  for (std::size_t state = 0; state < states.size(); ++state)
    EXPECT_EQ(takes_requests(static_cast<ReplicaState>(state)), std::string(states[state]) == "ready");
}

}  // namespace
}  // namespace weft
