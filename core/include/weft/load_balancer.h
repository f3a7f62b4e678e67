// LoadBalancer: which replica gets this request. Pure decisions: no clock, no thread and no I/O of its own; time comes
// in with each call. One thread at a time (the router's). The same calls give the same decisions.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "weft/block_hash.h"
#include "weft/request.h"
#include "weft/status.h"
#include "weft/time.h"

namespace weft {

using ReplicaId = std::int32_t;  // the replica's dp index

// A request as a balancer sees it.
struct RequestView {
  RequestId id = 0;
  std::int32_t prompt_tokens = 0;           // to prefill, tokens emitted by an earlier replica included
  std::int32_t max_tokens = 0;              // left to decode, at most
  std::span<const BlockHash> block_hashes;  // of the prompt's full blocks
  std::string_view affinity;                // the client's hint (session, user); may be empty
  std::int32_t priority = 0;
};

// One replica as the router knows it. Figures of the leader are its latest stats; they may be stale or absent.
struct ReplicaView {
  ReplicaId id = 0;
  std::int64_t incarnation = 0;
  bool eligible = false;       // ready, not draining, not excluded for this request, and with room
  std::int32_t in_flight = 0;  // requests the router has given it and that have not ended: exact
  std::int32_t capacity = 0;   // requests the router will give it at once; in_flight < capacity is room
  std::int32_t waiting = 0;    // leader: requests not yet in a batch
  std::int32_t running = 0;    // leader: requests in the batch
  double kv_usage = 0;         // leader: share of its blocks in use, 0 to 1
  Time stats_at{};             // when the leader's figures came; Time{} if never
};

// The replicas, one row each, by ascending id. Lent for the call; kept up to date by the router, not rebuilt a pick.
struct ReplicaTable {
  std::span<const ReplicaView> replicas;
};

struct Decision {
  ReplicaId replica = -1;
  std::string reason;  // for a human, short: "least tokens pending: 812 (next 1,440)"
};

// What happened. Every event carries the incarnation of the replica it is about. Events of unknown or ended requests, and NaN, negative or reordered figures, are to be ignored.
struct Event {
  enum class Kind : std::uint8_t { dispatched, first_token, progress, finished, dropped, stats, joined, left };
  Kind kind = Kind::stats;
  ReplicaId replica = -1;  // dropped: -1 takes the pick back wherever it is
  std::int64_t incarnation = 0;
  RequestId request = 0;                    // dispatched, first_token, progress, finished, dropped
  std::int32_t prompt_tokens = 0;           // dispatched
  std::int32_t max_tokens = 0;              // dispatched
  std::int32_t generated = 0;               // progress, finished: tokens so far
  std::int32_t waiting = 0;                 // stats
  std::int32_t running = 0;                 // stats
  std::int64_t pending_prefill_tokens = 0;  // stats: prompt tokens not yet computed
  double kv_usage = 0;                      // stats
  std::uint64_t stats_sequence = 0;         // stats: rises within an incarnation
};

class LoadBalancer {
 public:
  static constexpr const char* plugin_kind = "load_balancer";
  static constexpr std::uint32_t interface_version = 1;

  virtual ~LoadBalancer() = default;
  // One of the eligible replicas; unavailable where none is. Charges the request, by its id, to the chosen replica at
  // once, so that picks before any feedback spread; a second pick for the same id moves the charge. `dispatched`
  // confirms it; `finished`, `dropped` and the replica's `left` end it.
  virtual Result<Decision> pick(const RequestView& request, const ReplicaTable& replicas, Time now) = 0;
  virtual void observe(const Event& event, Time now) = 0;
  virtual void* query(std::string_view interface_id) = 0;
};

}  // namespace weft
