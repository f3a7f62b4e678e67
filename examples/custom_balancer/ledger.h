// What each replica still has to do, in tokens: what the picks gave it, less what the events say is done. One thread.
//
// Every event may be junk: of an unknown or ended request, of another replica or an earlier incarnation, out of order. What
// does not fit what is known is ignored, so that no replica is ever thought idle or busy for good.
#pragma once

#include <weft/load_balancer.h>

#include <cstdint>
#include <limits>
#include <set>
#include <unordered_map>
#include <vector>

namespace weighted {

// One replica's side of the ledger.
struct Account {
  weft::ReplicaId id = -1;
  std::int64_t incarnation = std::numeric_limits<std::int64_t>::min();
  bool left = false;                   // only a later incarnation, a join or a pick brings it back
  std::int64_t pending = 0;            // tokens
  std::set<weft::RequestId> requests;  // charged to it
};

// A request that went on: how long its replica took for a token of it.
struct Pace {
  weft::ReplicaId replica = -1;  // -1: the event tells nothing about that
  double seconds_a_token = 0;
};

class Ledger {
 public:
  // By ascending id, so that a pick can walk them beside the table.
  const std::vector<Account>& accounts() const noexcept { return accounts_; }

  // What a request is expected to be, in tokens: at least one, so that one that claims to cost nothing still counts.
  static std::int64_t cost_of(const weft::RequestView& request) noexcept;
  // A pick. A request that is charged already moves.
  void charge(const weft::RequestView& request, weft::ReplicaId replica, std::int64_t incarnation);
  Pace observe(const weft::Event& event, weft::Time now);

 private:
  struct Charge {
    weft::ReplicaId replica = -1;
    std::int64_t prompt = 0;     // tokens to prefill, until the first token
    std::int64_t decode = 0;     // tokens to generate, at most
    std::int64_t generated = 0;  // of them
    bool confirmed = false;      // by `dispatched`
    weft::Time heard{};          // of the last token
    std::int64_t pending() const noexcept { return prompt + decode - generated; }
  };

  Account* find(weft::ReplicaId replica);
  Account& reach(weft::ReplicaId replica, std::int64_t incarnation);
  Charge* current(const weft::Event& event);
  void put(weft::RequestId request, Charge charge, Account& account);
  void remove(weft::RequestId request);
  void clear(Account& account);
  void dispatched(const weft::Event& event);
  Pace progress(const weft::Event& event, weft::Time now);
  void joined(const weft::Event& event);
  void left(const weft::Event& event);

  std::vector<Account> accounts_;
  std::unordered_map<weft::RequestId, Charge> charges_;
};

}  // namespace weighted
