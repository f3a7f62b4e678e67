// Which replica: the hint's home where there is one, else the one with the fewest tokens, in turn where several have as few.
#pragma once

#include <string>

#include "tests/conformance/mutants/balancer/ledger.h"

namespace weft::mutant {

struct Choice {
  const ReplicaView* row = nullptr;  // null: none is eligible
  std::string reason;
};

class Chooser {
 public:
  Chooser(const Ledger& ledger, bool with_affinity) : ledger_(ledger), with_affinity_(with_affinity) {}

  Choice choose(const RequestView& request, const ReplicaTable& table, Time now) const;
  void turn_to(ReplicaId id) { last_ = id; }

 private:
  const ReplicaView* fewest(const ReplicaTable& table, Time now) const;
  const ReplicaView* home(std::uint64_t key, bool of_prefix, const ReplicaTable& table) const;
  const ReplicaView* by_bad_habit(const RequestView& request, const ReplicaTable& table) const;
  ReplicaId turn(Time now) const;

  const Ledger& ledger_;
  const bool with_affinity_;
  ReplicaId last_ = -1;
};

}  // namespace weft::mutant
