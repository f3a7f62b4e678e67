// The life of a replica, as a table. Pure: events in, state out; the supervisor acts on what it says.
//
//   launching -> joining -> loading -> ready <-> draining -> stopped
//   any of those -> down -> backoff -> launching        (relaunch: in the table, not yet driven in this version)
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace weft {

enum class ReplicaState : std::uint8_t { launching, joining, loading, ready, draining, stopped, down, backoff };

enum class ReplicaEvent : std::uint8_t {
  placed,        // the executor has started every rank
  joined,        // every rank has said Hello, was assigned, and has its groups open
  ready_to_run,  // the leader says the whole replica can run
  drain,         // stop giving it requests, let it finish
  undrain,       // take it back into service
  drained,       // nothing is left in it
  stop,          // end it now
  rank_lost,     // a rank exited, never started, or its lease ran out
  failed,        // a rank reported a failure it cannot mend
  deadline,      // the state's deadline passed
  gone,          // every rank has exited
  retry,         // down: it will be launched again
  relaunch,      // the back-off is over
};

std::string_view to_string(ReplicaState state) noexcept;
std::string_view to_string(ReplicaEvent event) noexcept;

// The state after the event; nullopt where the event has no meaning in this state (it is then ignored and logged).
std::optional<ReplicaState> next_state(ReplicaState state, ReplicaEvent event) noexcept;

// Whether a request may be given to a replica in this state.
constexpr bool takes_requests(ReplicaState state) noexcept { return state == ReplicaState::ready; }

}  // namespace weft
