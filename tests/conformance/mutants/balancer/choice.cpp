#include "tests/conformance/mutants/balancer/choice.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "tests/conformance/mutants/switch.h"

namespace weft::mutant {
namespace {

// A home that has so many tokens more to do than another is not gone home to.
constexpr double worth_a_prompt = 20'000;
constexpr std::size_t blocks_of_a_prefix = 8;

std::uint64_t mixed(std::uint64_t bits) {
  bits = (bits ^ (bits >> 31)) * 0x7FB5D329728EA185U;
  bits = (bits ^ (bits >> 27)) * 0x81DADEF4BC2DD44DU;
  return bits ^ (bits >> 33);
}

std::uint64_t key_of_session(const RequestView& request) {
  std::uint64_t key = 0xCBF29CE484222325U;
  for (const char letter : request.affinity)
    key = (key ^ static_cast<unsigned char>(letter)) * 0x100000001B3U;
  return breaks("session_by_request") ? key ^ mixed(request.id) : key;
}

std::uint64_t key_of_prefix(const RequestView& request) {
  const std::uint64_t key = request.block_hashes[std::min(request.block_hashes.size(), blocks_of_a_prefix) - 1];
  return breaks("prefix_by_request") ? key ^ mixed(request.id) : key;
}

// Probes a table's rows from where a counter points: who stands behind a dead replica gets its share as well.
const ReplicaView* by_probing(const RequestView& request, const ReplicaTable& table) {
  const std::size_t rows = table.replicas.size();
  for (std::size_t step = 0; step < rows; ++step)
    if (const ReplicaView& row = table.replicas[(request.id + step) % rows]; row.eligible) return &row;
  return nullptr;
}

// The same among the ids that there have been.
const ReplicaView* by_old_ids(const RequestView& request, const ReplicaTable& table, const Ledger& ledger) {
  const std::size_t ids = ledger.accounts().size();
  if (ids == 0) return nullptr;
  const ReplicaId wanted = std::next(ledger.accounts().begin(), static_cast<std::ptrdiff_t>(request.id % ids))->first;
  for (const ReplicaView& row : table.replicas)
    if (row.eligible && row.id >= wanted) return &row;
  return nullptr;
}

}  // namespace

Choice Chooser::choose(const RequestView& request, const ReplicaTable& table, Time now) const {
  if (const ReplicaView* const row = by_bad_habit(request, table)) return {row, "a habit"};
  const ReplicaView* const least = fewest(table, now);
  if (least == nullptr && !breaks("home_at_any_price")) return {};
  const bool session = with_affinity_ && !request.affinity.empty();
  const bool prefix = with_affinity_ && !request.block_hashes.empty();
  if (session || prefix || (breaks("undeclared_hints") && !request.affinity.empty())) {
    const bool by_prefix = prefix && !session;
    const ReplicaView* const at = home(by_prefix ? key_of_prefix(request) : key_of_session(request), by_prefix, table);
    if (at != nullptr &&
        (breaks("home_at_any_price") || ledger_.load(*at, now) <= ledger_.load(*least, now) + worth_a_prompt))
      return {at, session ? "where its session is" : "where its prefix is"};
  }
  if (least == nullptr) return {};
  return {least, "fewest tokens: " + std::to_string(static_cast<std::int64_t>(ledger_.load(*least, now)))};
}

const ReplicaView* Chooser::fewest(const ReplicaTable& table, Time now) const {
  const ReplicaView* best = nullptr;
  double fewest = 0;
  const ReplicaId last = turn(now);
  const bool takes_the_full = breaks("picks_the_full");
  const bool one_at_a_time = breaks("one_at_a_time");
  const bool starves = breaks("starves_the_last") && table.replicas.size() > 200;
  const bool lowest_first = breaks("saturates") || breaks("charges_at_dispatch");
  for (const ReplicaView& row : table.replicas) {
    if (!row.eligible && !(takes_the_full && row.id == 3)) continue;
    if (one_at_a_time && row.in_flight >= 16) continue;
    if (starves && &row == &table.replicas.back()) continue;
    const double load = ledger_.load(row, now);
    const bool in_turn = best != nullptr && load == fewest && best->id <= last && row.id > last;
    if (best != nullptr && !(load < fewest) && !(in_turn && !lowest_first)) continue;
    best = &row;
    fewest = load;
  }
  return best;
}

// The highest score of key and replica (rendezvous hashing): who comes or goes moves its own share and no other.
const ReplicaView* Chooser::home(std::uint64_t key, bool of_prefix, const ReplicaTable& table) const {
  if ((breaks("homes_by_row") || (of_prefix && breaks("prefix_homes_by_row"))) && !table.replicas.empty()) {
    const ReplicaView& row = table.replicas[key % table.replicas.size()];
    return row.eligible ? &row : nullptr;
  }
  const ReplicaView* best = nullptr;
  std::uint64_t highest = 0;
  for (const ReplicaView& row : table.replicas) {
    if (!row.eligible && !breaks("home_at_any_price")) continue;
    if (breaks("homes_are_few") && row.id > 1 && best != nullptr) break;
    const std::uint64_t score = mixed(key ^ mixed(static_cast<std::uint64_t>(row.id) + 1));
    if (best != nullptr && score <= highest) continue;
    best = &row;
    highest = score;
  }
  return best;
}

// Ties are broken from here on.
ReplicaId Chooser::turn(Time now) const {
  static std::atomic<ReplicaId> shared{0};
  if (breaks("global_random")) return shared = (shared + 1) % 7;
  if (breaks("depends_on_thread")) return ::gettid() == ::getpid() ? 0 : 3;  // the process's first thread or not
  if (breaks("uses_the_hour"))
    return static_cast<ReplicaId>(std::chrono::duration_cast<std::chrono::hours>(now.time_since_epoch()).count() % 7);
  return last_;
}

const ReplicaView* Chooser::by_bad_habit(const RequestView& request, const ReplicaTable& table) const {
  if (table.replicas.empty()) return nullptr;
  const bool no_hint = request.affinity.empty() && request.block_hashes.empty();
  if (breaks("neighbour_inherits") && no_hint) return by_probing(request, table);
  if (breaks("heir_of_the_departed") && no_hint) return by_old_ids(request, table, ledger_);
  if (breaks("gathers_long_requests") && request.prompt_tokens > 500)
    return table.replicas.front().eligible ? &table.replicas.front() : nullptr;
  return nullptr;
}

}  // namespace weft::mutant
