// A balancer under test, and the router's part played: the table of replicas, a virtual clock, the events after a pick.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "tests/conformance/harness/context.h"
#include "weft/load_balancer.h"

namespace weft::conformance {

struct Ask {
  RequestId id = 0;
  std::int32_t prompt = 100;
  std::int32_t max_tokens = 100;
  std::string_view affinity = {};
  std::span<const BlockHash> hashes = {};
};

class Fleet {
 public:
  // Replicas 0 .. count - 1, or these ids (ascending): eligible, in incarnation 1, joined.
  Fleet(Context& context, ReplicaId count);
  Fleet(Context& context, const std::vector<ReplicaId>& ids);

  Result<Decision> try_pick(const Ask& ask);
  // Fails the case unless the decision is an eligible replica of the table.
  ReplicaId pick(const Ask& ask);
  ReplicaId pick(RequestId id) { return pick(Ask{.id = id}); }
  void observe(const Event& event) { balancer_->observe(event, now); }
  // Of the request's replica, in the incarnation that the table has.
  void dispatched(const Ask& ask, ReplicaId replica);
  void finished(RequestId id, ReplicaId replica, std::int32_t generated = 100);
  void dropped(RequestId id, ReplicaId replica);
  // The replica goes from the table, and `left` is told; it comes (again), in this incarnation, and `joined` is told.
  void leave(ReplicaId id);
  void join(ReplicaId id, std::int64_t incarnation);

  ReplicaView* row(ReplicaId id);
  void only(ReplicaId id);  // is eligible
  void all();
  // Picks `count` new requests, ids from `first_id`; how many each replica got.
  std::map<ReplicaId, int> spread(int count, RequestId first_id, std::int32_t prompt = 100,
                                  std::int32_t max_tokens = 100);
  // The same, each confirmed by `dispatched`, onto one replica.
  void load(ReplicaId id, int count, RequestId first_id, std::int32_t prompt = 100, std::int32_t max_tokens = 100);

  LoadBalancer& operator*() const { return *balancer_; }
  Context& context() const { return context_; }

  std::vector<ReplicaView> table;
  Time now = Time{} + std::chrono::hours(24);

 private:
  Context& context_;
  PluginHandle<LoadBalancer> balancer_;
};

int largest(const std::map<ReplicaId, int>& counts);
// Fails where a replica has more than its share of `picks` equal requests: twice the mean and 8, or by the profile's
// limit "spread" instead of the 2. That is wide enough for balancers that draw lots by a hash.
void expect_spread(Context& context, const std::map<ReplicaId, int>& counts, std::size_t replicas,
                   std::string_view what);

// So many requests are charged to a replica, and what is left of them is read from where so many new ones go, none of
// which ends. A balancer that always takes the least loaded replica shows it to the last request in a few picks. One that
// draws lots, and takes the better of those drawn, shows it in its shares of n = 1000 picks. Their bounds hold for two
// choices, drawn with replacement, and for more of them all the more; the chance that one is broken without a fault is below
// 2e-10 each. With D(a||p) = a ln(a/p) + (1-a) ln((1-a)/(1-p)), Chernoff's P <= exp(-n D):
//   A replica that has most of all gets a pick only where both draws hit it: 1/16 of them among four.
//     P(more than 124 of 1000) <= exp(-1000 D(0.125||0.0625)) = 4e-12
//   Replicas that begin level: two choices leave the loads at least as even as one choice does (majorisation: Azar,
//   Broder, Karlin and Upfal 1999), so the least of k has no fewer than the least of k that share evenly by lot.
//     four:  P(fewer than 160) <= 4 exp(-1000 D(0.16||0.25)) = 2e-10
//     three that share 15/16 of the picks, a fourth having far more: P(fewer than 210) <= 3 exp(-1000 D(0.21||0.3125)) = 1e-11
//     two:   P(fewer than 390 or more than 610) <= 2 exp(-1000 D(0.39||0.5)) = 5e-11
// What a fault leaves there is far outside: the charged one's 62 instead of 250 or 312 among four, 250 instead of 500 of two.
struct Trial {
  int loaded = 0;
  int picks = 0;
  int free_least = 0;     // of them a replica with no more than the three others gets at least so many
  int free_of_three = 0;  // the same, where one of the others has all that was loaded
  int half_least = 0;     // the same, of two replicas
  int charged_most = 0;   // what a replica with all that was loaded gets at most
};
// The one that shows this balancer's charges; none where it does not weigh them, as round robin.
std::optional<Trial> trial_of_weighing(Context& context);
// The same for cases that see nothing else: they are skipped where there is none, or fail where the profile's [fixtures]
// claim weighs_charges.
Trial needs_weighing(Context& context);
// Whether each pick goes to the replica with the fewest requests, not only more often than not.
bool always_takes_the_least(Context& context);
// Whether it turns, always, from a replica with the same number of requests but longer ones.
bool weighs_tokens(Context& context);

}  // namespace weft::conformance
