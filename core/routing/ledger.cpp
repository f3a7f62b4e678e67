#include "core/routing/ledger.h"

#include <algorithm>

namespace weft::routing {

bool Ledger::enter(Request request, ReplicaId replica, std::int64_t incarnation) {
  const RequestId id = request.id;
  LedgerEntry entry{.request = std::move(request), .replica = replica, .incarnation = incarnation};
  if (!entries_.emplace(id, std::move(entry)).second) return false;
  ++totals_.submitted;
  ++totals_.replicas[replica].in_flight;
  return true;
}

LedgerEntry* Ledger::find(RequestId request) {
  const auto found = entries_.find(request);
  return found == entries_.end() ? nullptr : &found->second;
}

LedgerEntry* Ledger::find(RequestId request, ReplicaId replica, std::int64_t incarnation) {
  LedgerEntry* entry = find(request);
  return entry != nullptr && entry->replica == replica && entry->incarnation == incarnation ? entry : nullptr;
}

void Ledger::score(LedgerEntry& entry, std::size_t prompt_tokens) {
  entry.request.prompt_scored += static_cast<std::int32_t>(prompt_tokens);
}

void Ledger::give(LedgerEntry& entry, std::span<const TokenId> tokens, double seconds) {
  entry.request.emitted.insert(entry.request.emitted.end(), tokens.begin(), tokens.end());
  entry.generated += static_cast<std::int32_t>(tokens.size());
  LedgerTotals::Row& row = totals_.replicas[entry.replica];
  row.tokens += static_cast<std::int64_t>(tokens.size());
  if (row.first_token_seconds == 0 && !tokens.empty()) row.first_token_seconds = seconds;
}

std::optional<LedgerEntry> Ledger::end(RequestId request) {
  const auto found = entries_.find(request);
  if (found == entries_.end()) return std::nullopt;
  LedgerEntry entry = std::move(found->second);
  entries_.erase(found);
  LedgerTotals::Row& row = totals_.replicas[entry.replica];
  ++row.requests;
  --row.in_flight;
  ++totals_.finished;
  return entry;
}

std::vector<RequestId> Ledger::held_by(ReplicaId replica, std::int64_t incarnation) const {
  std::vector<RequestId> held;
  for (const auto& [id, entry] : entries_)
    if (entry.replica == replica && entry.incarnation == incarnation) held.push_back(id);
  std::sort(held.begin(), held.end());
  return held;
}

std::vector<RequestId> Ledger::all() const {
  std::vector<RequestId> ids;
  for (const auto& [id, entry] : entries_)
    ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

}  // namespace weft::routing
