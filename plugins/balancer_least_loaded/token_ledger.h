// What each replica still has to do, in tokens, as far as the router and the leaders' stats tell. One thread. Every event
// may be junk: what does not fit what is known is ignored.
#pragma once

#include <weft/load_balancer.h>

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

namespace weft::least_loaded {

// One replica's side of the ledger. Figures in tokens.
struct Load {
  ReplicaId id = -1;
  std::int64_t incarnation = std::numeric_limits<std::int64_t>::min();
  bool left = false;                            // only events of a later incarnation, or a new pick, bring it back
  std::int64_t prefill = 0;                     // of the prompts charged to it, what is not computed yet
  std::int64_t decode = 0;                      // of the requests charged to it, what is not generated yet
  std::map<std::uint64_t, RequestId> requests;  // charged to it, oldest first
  std::optional<std::uint64_t> stats_sequence;
  std::int64_t foreign = 0;  // what the leader has beyond what we charged: other routers' requests
  Time foreign_until{};      // when that is too old to count

  std::int64_t pending(Time now) const noexcept { return prefill + decode + (now < foreign_until ? foreign : 0); }
};

class TokenLedger {
 public:
  explicit TokenLedger(Duration stats_ttl) : stats_ttl_(stats_ttl) {}

  // By ascending id, so that a pick can walk them beside the table.
  const std::vector<Load>& loads() const noexcept { return loads_; }

  // A pick: puts the request's cost on the replica; a request that is charged already moves. A later incarnation than the
  // one known starts the replica at zero.
  void charge(const RequestView& request, ReplicaId replica, std::int64_t incarnation);
  void observe(const Event& event, Time now);

 private:
  struct Charge {
    ReplicaId replica = -1;
    std::uint64_t order = 0;
    std::int64_t prefill = 0;     // left
    std::int64_t decode = 0;      // left
    std::int64_t max_tokens = 0;  // decode at its start
    std::int32_t generated = 0;
    bool confirmed = false;
  };

  Load* find(ReplicaId replica);
  Load& reach(ReplicaId replica, std::int64_t incarnation);
  Charge* current(const Event& event);
  void put(RequestId request, Charge charge, Load& load);
  void remove(RequestId request);
  void clear(Load& load);
  void work_off_prefill(Charge& charge, Load& load, std::int64_t tokens);
  void on_dispatched(const Event& event);
  void on_progress(const Event& event);
  void on_end(const Event& event);
  void on_joined(const Event& event);
  void on_left(const Event& event);
  void on_stats(const Event& event, Time now);

  const Duration stats_ttl_;
  std::vector<Load> loads_;
  std::unordered_map<RequestId, Charge> charges_;
  std::uint64_t next_order_ = 0;
};

}  // namespace weft::least_loaded
