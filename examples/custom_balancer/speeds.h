// How fast each replica is, as a ratio: 2 does twice as much in the same time as 1. Declared by the user, or measured.
//
// Measured is the time a replica takes for one more token of a running request. Tokens a second would not do: a replica that
// is given less to do makes fewer of them, and would be given less and less. A token takes longer where there is more to do,
// so this errs towards even shares.
#pragma once

#include <weft/load_balancer.h>

#include <string>
#include <unordered_map>
#include <vector>

namespace weighted {

class Speeds {
 public:
  // "0=2.5": replica 0 is 2.5 times as fast as those that no entry names. invalid_argument says which entry is wrong.
  static weft::Result<Speeds> read(const std::vector<std::string>& entries, bool measure);

  double of(weft::ReplicaId replica) const;
  // No-op unless speeds are measured; a replica that is declared is not measured.
  void measured(weft::ReplicaId replica, double seconds_a_token);

 private:
  std::unordered_map<weft::ReplicaId, double> declared_;
  std::unordered_map<weft::ReplicaId, double> seconds_a_token_;  // moving averages
  double sum_ = 0;                                               // of them
  bool measure_ = false;
};

}  // namespace weighted
