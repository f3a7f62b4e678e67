#include "frontend/batch/in_flight.h"

#include <fmt/format.h>

#include <ctime>
#include <utility>

#include "core/telemetry/log.h"
#include "frontend/batch/result_line.h"

namespace weft::frontend {
namespace {

constexpr std::int64_t shown_failures = 20;

}  // namespace

void InFlight::enter(RequestId id, ReplicaId replica, Pending pending) {
  running_.emplace(id, Running{.line = pending.line,
                               .custom_id = std::move(pending.custom_id),
                               .api = std::move(pending.api),
                               .prompt_tokens = static_cast<std::int64_t>(pending.request.prompt.size()),
                               .tokens = {},
                               .replica = replica});
  ++replicas_[replica].in_flight;
}

void InFlight::add_tokens(RequestId id, std::span<const TokenId> tokens) {
  const auto found = running_.find(id);
  if (found == running_.end()) return;
  found->second.tokens.insert(found->second.tokens.end(), tokens.begin(), tokens.end());
  received_tokens_ += static_cast<std::int64_t>(tokens.size());
}

Status InFlight::write_answer(const Running& running, const Outcome& outcome) {
  const bool chat = running.api.endpoint == Endpoint::chat_completions;
  nlohmann::ordered_json body =
      to_body(running.api, fmt::format("{}-weft-{}", chat ? "chatcmpl" : "cmpl", running.line), options_.model_name,
              std::time(nullptr), running.prompt_tokens, running.tokens, outcome, tools_.tokenizer.get());
  WEFT_TRY(results_.append(answer_line(running.line, running.custom_id, std::move(body))));
  ++summary_.answered;
  ++replicas_[running.replica].done;
  summary_.prompt_tokens += running.prompt_tokens;
  summary_.generated_tokens += static_cast<std::int64_t>(running.tokens.size());
  return {};
}

Status InFlight::finish(RequestId id, const Outcome& outcome) {
  const auto found = running_.find(id);
  if (found == running_.end()) return {};
  const Running running = std::move(found->second);
  running_.erase(found);
  --replicas_[running.replica].in_flight;
  if (outcome.reason == FinishReason::stop || outcome.reason == FinishReason::length) {
    if (static_cast<std::size_t>(outcome.generated) == running.tokens.size()) return write_answer(running, outcome);
    log::error("batch", "line {}: {} tokens came of {} that were generated; it is left", running.line,
               running.tokens.size(), outcome.generated);
    ++summary_.failures["tokens_lost"];
    return {};
  }
  if (outcome.reason == FinishReason::error && !outcome.error.retryable)
    return fail_line({running.line, running.custom_id, annotate(outcome.error, fmt::format("line {}", running.line))});
  const bool error = outcome.reason == FinishReason::error;
  ++summary_.failures[std::string(error ? to_string(outcome.error.code) : to_string(outcome.reason))];
  if (error) log::debug("batch", "line {} is left: {}", running.line, outcome.error.message);
  return {};
}

Status InFlight::fail_line(const FailedLine& line) {
  WEFT_TRY(results_.append(error_line(line.line, line.custom_id, line.error)));
  ++summary_.failed;
  if (summary_.failed <= shown_failures) log::warn("batch", "{}", line.error.message);
  if (summary_.failed == shown_failures) log::warn("batch", "lines that fail from here on are told in the output only");
  ++summary_.failures[std::string(to_string(line.error.code))];
  return {};
}

std::vector<RequestId> InFlight::ids() const {
  std::vector<RequestId> ids;
  ids.reserve(running_.size());
  for (const auto& [id, running] : running_)
    ids.push_back(id);
  return ids;
}

ProgressView InFlight::view(double seconds) const {
  return {.total = summary_.lines,
          .done = summary_.resumed + summary_.answered + summary_.failed,
          .resumed = summary_.resumed,
          .tokens = received_tokens_,
          .seconds = seconds,
          .replicas = replicas_};
}

}  // namespace weft::frontend
