// What a client asked for, in the form in which router, wire and engine share it: token ids and sampling, no text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft {

using TokenId = std::int32_t;  // an index into the vocabulary, never negative in a request

// Router epoch and a counter: never repeats while a cluster lives. Zero is no request.
using RequestId = std::uint64_t;

// How the next token is drawn from the logits. The order is vLLM's: bias, penalties, temperature, min_p, top_k, top_p.
struct SamplingParams {
  double temperature = 1.0;  // 0: greedy, the lowest id among equals
  std::int32_t top_k = 0;    // 0: off
  double top_p = 1.0;        // 1: off
  double min_p = 0.0;        // 0: off
  double repetition_penalty = 1.0;
  double presence_penalty = 0.0;
  double frequency_penalty = 0.0;
  std::vector<std::pair<TokenId, float>> logit_bias;
  std::uint64_t seed = 0;  // given one at admission where the client names none, so that a replay draws the same
};

// What a model's generation_config.json says of sampling; empty: it says nothing. It fills in what a client leaves open.
struct GenerationDefaults {
  std::optional<bool> do_sample;
  std::optional<double> temperature;
  std::optional<std::int32_t> top_k;
  std::optional<double> top_p;
  std::optional<double> min_p;
  std::optional<double> repetition_penalty;
};

// When a request ends. Only the leader ends one.
struct StopConditions {
  std::int32_t max_tokens = 16;           // generated tokens, at least 1
  std::vector<TokenId> stop_token_ids;    // ends with finish reason stop; the id is the last of the output
  std::vector<std::string> stop_strings;  // found by the leader over token borders
  bool ignore_eos = false;                // stop_token_ids still count, the model's end ids do not
};

enum class FinishReason : std::uint8_t {
  none = 0,       // not finished
  stop = 1,       // an end id or a stop string
  length = 2,     // max_tokens, or the context is full
  cancelled = 3,  // by the client
  error = 4,      // see the error beside it
  deadline = 5,   // the request's deadline passed
};

constexpr std::string_view to_string(FinishReason reason) noexcept {
  switch (reason) {
    case FinishReason::none: return "none";
    case FinishReason::stop: return "stop";
    case FinishReason::length: return "length";
    case FinishReason::cancelled: return "cancelled";
    case FinishReason::error: return "error";
    case FinishReason::deadline: return "deadline";
  }
  return "unknown";
}

// One request for one sequence. `n` choices of a client's request are n of these with choice 0 .. n-1.
struct Request {
  RequestId id = 0;
  std::vector<TokenId> prompt;   // prompt ids; after a failure elsewhere `emitted` continues it
  std::vector<TokenId> emitted;  // already delivered to the client by an earlier replica
  std::int32_t choice = 0;       // part of the sampling counter
  SamplingParams sampling;
  StopConditions stop;
  std::int64_t deadline_ms = 0;  // milliseconds from admission until it must have ended; 0: none
  std::int32_t priority = 0;     // a larger one is served first
};

}  // namespace weft
