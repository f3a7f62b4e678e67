// Router: takes requests to replicas. Holds the ledger (every request, what has been emitted, exactly one terminal
// event each), asks the balancer, and serves the links that leaders dial. An object any process may hold.
//
// It binds a port of its own and publishes "router/<epoch>" in the store; leaders dial every published router.
// Threads: submit, cancel, room, set_eligible, totals: any thread. RouterEvents come from the router's thread, one at a
// time, with no lock held; they may call back into the router.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "weft/load_balancer.h"
#include "weft/logprobs.h"
#include "weft/request.h"
#include "weft/status.h"
#include "weft/store_client.h"

namespace weft {

// How a request ended; the one terminal event of it.
struct Outcome {
  FinishReason reason = FinishReason::none;
  Error error;  // reason error: why; error.retryable: a later run may try again (replica lost)
  ReplicaId replica = -1;
  std::int32_t generated = 0;     // tokens, end id included
  std::string matched_stop;       // the stop string that ended it
  std::int32_t text_offset = -1;  // bytes of text before it
};

class RouterEvents {
 public:
  virtual ~RouterEvents() = default;
  virtual void on_tokens(RequestId request, std::span<const TokenId> tokens) = 0;
  // Log-probabilities, where the request wants some: of the prompt's next tokens, and of the tokens that on_tokens() tells
  // of next. Both come without gap or repeat, all of them before on_finished().
  virtual void on_logprobs(RequestId request, std::span<const TokenLogprobs> prompt,
                           std::span<const TokenLogprobs> generated) {
    static_cast<void>(request), static_cast<void>(prompt), static_cast<void>(generated);
  }
  virtual void on_finished(RequestId request, const Outcome& outcome) = 0;  // exactly once
  // A replica has room again, or a replica has come or gone.
  virtual void on_room() = 0;
};

struct RouterOptions {
  std::uint32_t epoch = 1;  // of this router; part of every request's id
  std::string endpoint = "tcp://127.0.0.1:0";
  std::string advertise;  // host that leaders are told, where it is not the endpoint's
  std::string token;
  std::int32_t block_size = 16;  // of the block hashes that the balancer sees
  Duration dead_after = std::chrono::seconds(5);
};

// What was delivered, by replica; equals what the leaders counted.
struct LedgerTotals {
  struct Row {
    std::int64_t requests = 0;  // that ended here, cancelled and failed ones included
    std::int64_t tokens = 0;    // emitted here
    std::int32_t in_flight = 0;
    double first_token_seconds = 0;  // since the router was opened; 0: none yet
  };
  std::map<ReplicaId, Row> replicas;
  std::int64_t submitted = 0;
  std::int64_t finished = 0;
};

// A leader's latest figures.
struct LeaderStats {
  std::int32_t waiting = 0;
  std::int32_t running = 0;
  double kv_usage = 0;
  std::int64_t steps = 0;
  double step_seconds = 0;
  double collective_seconds = 0;
  std::int64_t preemptions = 0;
};

class Router {
 public:
  // Binds, publishes and starts its thread. The balancer and the store outlive the router; the router calls the
  // balancer from one thread at a time, and trusts it not to throw: a plugin's is given as a GuardedBalancer.
  static Result<std::unique_ptr<Router>> open(RouterOptions options, LoadBalancer& balancer, StoreClient& store,
                                              RouterEvents& events);
  virtual ~Router() = default;  // requests that have not ended get Outcome error `cancelled`, retryable

  // The next internal id: epoch and counter. The caller notes it before it submits, so that no event comes unknown.
  virtual RequestId next_id() noexcept = 0;
  // Gives the request (its id from next_id) a replica: the balancer's pick among the ready ones with room, or `replica`
  // where it is named (static distribution). Returns which. unavailable (retryable): no replica with room now; nothing
  // has happened then.
  virtual Result<ReplicaId> submit(Request request, std::optional<ReplicaId> replica) = 0;
  // Ends it with reason cancelled, within one step of its replica. not_found: it has ended or never was.
  virtual Status cancel(RequestId request) = 0;
  // How many more requests the ready replicas take now; of one replica if it is named.
  virtual std::int32_t room(std::optional<ReplicaId> replica) const = 0;
  // The cluster's word: this incarnation may be given requests, or not any more. Down replicas' requests end with
  // reason error, retryable (replay on another replica comes later; the ledger keeps what it needs for that).
  virtual void set_ready(ReplicaId replica, std::int64_t incarnation) = 0;
  virtual void set_draining(ReplicaId replica) = 0;
  virtual void set_down(ReplicaId replica, std::int64_t incarnation, const Error& why) = 0;
  virtual LedgerTotals totals() const = 0;
  virtual std::map<ReplicaId, LeaderStats> stats() const = 0;
};

}  // namespace weft
