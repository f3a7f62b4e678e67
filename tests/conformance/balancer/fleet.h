// A balancer under test, and the router's part played: the table of replicas, a virtual clock, the events after a pick.
#pragma once

#include <cstdint>
#include <map>
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

// Whether the balancer turns away from a replica that has more charged to it. By tokens: from one with the same number
// of requests but longer ones.
bool weighs_charges(Context& context);
bool weighs_tokens(Context& context);
// Skips the case where it does not, as round robin: what is charged cannot be seen then.
void needs_weighing(Context& context);

}  // namespace weft::conformance
