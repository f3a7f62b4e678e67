// The ledger: every request that was taken and has not ended, where it is, and what it has been given. Exactly one
// terminal event each is its invariant. Plain state; its owner guards it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "core/routing/router.h"

namespace weft::routing {

struct LedgerEntry {
  Request request;  // with `emitted` and `prompt_scored`: what a replay needs to go on without gap or repeat
  ReplicaId replica = -1;
  std::int64_t incarnation = 0;
  std::int32_t generated = 0;  // tokens emitted here
};

class Ledger {
 public:
  // False if the id is there already.
  bool enter(Request request, ReplicaId replica, std::int64_t incarnation);
  // What was given to a request by that incarnation of a replica; null for an unknown or ended request, or one that is
  // elsewhere: such an update is stale and must not reach a client.
  LedgerEntry* find(RequestId request, ReplicaId replica, std::int64_t incarnation);
  LedgerEntry* find(RequestId request);
  // Log-probabilities of so many more of the prompt's tokens were given.
  void score(LedgerEntry& entry, std::size_t prompt_tokens);
  void give(LedgerEntry& entry, std::span<const TokenId> tokens, double seconds);
  // Takes it out: whoever gets it tells its one terminal event. nullopt: it has ended already.
  std::optional<LedgerEntry> end(RequestId request);
  // All that a replica's incarnation holds, and all that there is.
  std::vector<RequestId> held_by(ReplicaId replica, std::int64_t incarnation) const;
  std::vector<RequestId> all() const;
  LedgerTotals totals() const { return totals_; }

 private:
  std::unordered_map<RequestId, LedgerEntry> entries_;
  LedgerTotals totals_;
};

}  // namespace weft::routing
