// What other threads tell the run: its one wait, with a deadline.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "core/routing/router.h"
#include "weft/time.h"

namespace weft::frontend {

struct TokensEvent {
  RequestId request = 0;
  std::vector<TokenId> tokens;
  Time at{};  // when they came
};
struct LogprobsEvent {
  RequestId request = 0;
  std::vector<TokenLogprobs> prompt;
  std::vector<TokenLogprobs> generated;
};
struct FinishedEvent {
  RequestId request = 0;
  Outcome outcome;
};

// Any thread puts, the run's thread takes.
class Inbox {
 public:
  struct Contents {
    std::vector<std::variant<TokensEvent, LogprobsEvent, FinishedEvent>> events;  // in the order in which they came
    std::optional<Time> first_token;                                              // of all
    int interrupts = 0;                                                           // so far
    std::optional<Error> given_up;                                                // the first reason
  };

  void put_tokens(RequestId request, std::span<const TokenId> tokens);
  void put_logprobs(RequestId request, std::span<const TokenLogprobs> prompt, std::span<const TokenLogprobs> generated);
  void put_finished(RequestId request, const Outcome& outcome);
  void put_room();
  void put_interrupt();
  void put_given_up(const Error& why);

  // Waits until something has been put since the last call, or the deadline.
  Contents take(Deadline deadline);

 private:
  void wake();

  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  bool news_ = false;
  Contents contents_;
};

}  // namespace weft::frontend
