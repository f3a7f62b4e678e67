#include "core/cluster/replica_state.h"

#include <array>

namespace weft {
namespace {

struct Transition {
  ReplicaState from;
  ReplicaEvent event;
  ReplicaState to;
};

using S = ReplicaState;
using E = ReplicaEvent;

// The whole life, one line a transition. What is not here has no meaning.
constexpr std::array transitions = {
    Transition{S::launching, E::placed, S::joining},   Transition{S::launching, E::rank_lost, S::down},
    Transition{S::launching, E::failed, S::down},      Transition{S::launching, E::deadline, S::down},
    Transition{S::launching, E::stop, S::stopped},     Transition{S::joining, E::joined, S::loading},
    Transition{S::joining, E::rank_lost, S::down},     Transition{S::joining, E::failed, S::down},
    Transition{S::joining, E::deadline, S::down},      Transition{S::joining, E::stop, S::stopped},
    Transition{S::loading, E::ready_to_run, S::ready}, Transition{S::loading, E::rank_lost, S::down},
    Transition{S::loading, E::failed, S::down},        Transition{S::loading, E::deadline, S::down},
    Transition{S::loading, E::stop, S::stopped},       Transition{S::ready, E::drain, S::draining},
    Transition{S::ready, E::rank_lost, S::down},       Transition{S::ready, E::failed, S::down},
    Transition{S::ready, E::deadline, S::down},        Transition{S::ready, E::stop, S::stopped},
    Transition{S::draining, E::undrain, S::ready},     Transition{S::draining, E::drained, S::stopped},
    Transition{S::draining, E::deadline, S::stopped},  Transition{S::draining, E::rank_lost, S::down},
    Transition{S::draining, E::failed, S::down},       Transition{S::draining, E::stop, S::stopped},
    Transition{S::down, E::retry, S::backoff},         Transition{S::down, E::stop, S::stopped},
    Transition{S::backoff, E::relaunch, S::launching}, Transition{S::backoff, E::stop, S::stopped},
    Transition{S::stopped, E::gone, S::stopped},       Transition{S::down, E::gone, S::down},
};

}  // namespace

std::string_view to_string(ReplicaState state) noexcept {
  switch (state) {
    case S::launching: return "launching";
    case S::joining: return "joining";
    case S::loading: return "loading";
    case S::ready: return "ready";
    case S::draining: return "draining";
    case S::stopped: return "stopped";
    case S::down: return "down";
    case S::backoff: return "backoff";
  }
  return "unknown";
}

std::string_view to_string(ReplicaEvent event) noexcept {
  switch (event) {
    case E::placed: return "placed";
    case E::joined: return "joined";
    case E::ready_to_run: return "ready to run";
    case E::drain: return "drain";
    case E::undrain: return "undrain";
    case E::drained: return "drained";
    case E::stop: return "stop";
    case E::rank_lost: return "rank lost";
    case E::failed: return "failed";
    case E::deadline: return "deadline";
    case E::gone: return "gone";
    case E::retry: return "retry";
    case E::relaunch: return "relaunch";
  }
  return "unknown";
}

std::optional<ReplicaState> next_state(ReplicaState state, ReplicaEvent event) noexcept {
  for (const Transition& transition : transitions)
    if (transition.from == state && transition.event == event) return transition.to;
  return std::nullopt;
}

}  // namespace weft
