// What each replica has to do, as this balancer counts it: the tokens charged to it, and what its leader tells beyond that.
#pragma once

#include <weft/load_balancer.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

namespace weft::mutant {

// One replica in one incarnation.
struct Account {
  std::int64_t incarnation = 0;
  std::int64_t tokens = 0;  // charged and not ended
  std::set<RequestId> requests;
  std::optional<std::uint64_t> sequence;  // of the latest stats
  double foreign = 0;                     // tokens by the leader's stats, beyond those charged
  Time foreign_until = Time::min();
  Time charged_at{};
};

class Ledger {
 public:
  // Tokens that the replica of this row has to do.
  double load(const ReplicaView& row, Time now) const;
  void charge(const RequestView& request, const ReplicaView& row, Time now);
  void observe(const Event& event, Time now);

  const std::map<ReplicaId, Account>& accounts() const { return accounts_; }

 private:
  struct Charge {
    ReplicaId replica = -1;
    std::int64_t prompt = 0;  // tokens left
    std::int64_t decode = 0;  // tokens left
    std::int64_t most = 0;    // decode at the start
    std::int32_t generated = 0;
    bool dispatched = false;
    bool counted = true;

    std::int64_t tokens() const { return prompt + decode; }
  };

  Account* account_of(const Event& event);  // null: the replica is unknown, or lives in another incarnation
  Charge* charge_of(const Event& event);    // null: the request is not on that replica
  Account& open(ReplicaId id, std::int64_t incarnation);
  void add(Account& account, std::int64_t tokens) const;
  void end(RequestId request);
  void close(Account& account);
  void on_dispatched(const Event& event);
  void on_progress(const Event& event);
  void on_end(const Event& event);
  void on_stats(const Event& event, Time now);
  void on_joined(const Event& event);
  void on_left(const Event& event);
  void on_unknown(const Event& event);

  std::map<ReplicaId, Account> accounts_;
  std::unordered_map<RequestId, Charge> charges_;
  std::set<RequestId> remembered_;                    // by mutants that never forget
  std::map<std::int64_t, Account> old_incarnations_;  // too
  std::map<ReplicaId, std::int64_t> saved_;           // by one that restores what a replica left with
};

}  // namespace weft::mutant
