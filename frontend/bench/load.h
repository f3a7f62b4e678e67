// Load: requests made in memory, all of them at once, and when their tokens came. For measuring; keeps no tokens.
//
// run() works on its caller's thread; RouterEvents, interrupt() and give_up() only put into the inbox.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/routing/router.h"
#include "frontend/batch/inbox.h"
#include "weft/status.h"
#include "weft/time.h"

namespace weft::frontend {

struct LoadRequest {
  std::vector<TokenId> prompt;
  std::int32_t output_tokens = 1;  // generated whatever they are: end ids do not end it
};

// `count` prompts of `tokens` ids each, uniform below `vocabulary`; no two alike, so that nothing of one serves another.
std::vector<LoadRequest> random_requests(std::int32_t count, std::int32_t tokens, std::int32_t output_tokens,
                                         std::int32_t vocabulary, std::uint64_t seed);

// Seconds from the start of run().
struct RequestTimes {
  double submitted = 0;
  double first_token = 0;
  double last_token = 0;
  std::int64_t tokens = 0;  // generated
};

struct LoadReport {
  double seconds = 0;                  // until the last token of all
  std::vector<RequestTimes> requests;  // in the order given
};

class Load final : public RouterEvents {
 public:
  // Until every request has ended. `replicas` are waited for a moment, so that all of them share the work. cancelled: after
  // interrupt(). A request that fails, or is given other than its output_tokens, is an error, as is give_up(); what still runs
  // is cancelled first. Greedy.
  Result<LoadReport> run(Router& router, std::span<const LoadRequest> requests, std::span<const ReplicaId> replicas);

  // Any thread: end at once. Later runs end at once too.
  void interrupt();
  // Any thread: the cluster has lost a replica.
  void give_up(const Error& why);

  // From the router's thread.
  void on_tokens(RequestId request, std::span<const TokenId> tokens) override;
  void on_finished(RequestId request, const Outcome& outcome) override;
  void on_room() override;

 private:
  class Loop;
  Inbox inbox_;
};

}  // namespace weft::frontend
