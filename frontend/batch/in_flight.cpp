#include "frontend/batch/in_flight.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <iterator>
#include <utility>

#include "core/telemetry/log.h"
#include "frontend/batch/result_line.h"

namespace weft::frontend {
namespace {

constexpr std::int64_t shown_failures = 20;

}  // namespace

void InFlight::enter(const Pending& pending, ReplicaId replica) {
  Line& line = lines_[pending.line];
  if (line.submitted == 0) {
    line.custom_id = pending.custom_id;
    line.api = pending.api;
    line.prompt = pending.request.prompt;
    line.choices.resize(static_cast<std::size_t>(pending.api.n));
  }
  ++line.submitted;
  ++line.under_way;
  running_.emplace(pending.request.id,
                   Running{.line = pending.line, .choice = pending.request.choice, .replica = replica});
  ++replicas_[replica].in_flight;
}

bool InFlight::gave_up(const Pending& pending) {
  const auto found = lines_.find(pending.line);
  if (found == lines_.end() || !found->second.failed) return false;
  found->second.submitted = found->second.api.n;
  erase_if_done(pending.line);
  return true;
}

ChoiceAnswer* InFlight::find(RequestId id) {
  const auto found = running_.find(id);
  if (found == running_.end()) return nullptr;
  return &lines_.at(found->second.line).choices[static_cast<std::size_t>(found->second.choice)];
}

void InFlight::add_tokens(RequestId id, std::span<const TokenId> tokens) {
  ChoiceAnswer* choice = find(id);
  if (choice == nullptr) return;
  choice->tokens.insert(choice->tokens.end(), tokens.begin(), tokens.end());
  received_tokens_ += static_cast<std::int64_t>(tokens.size());
}

void InFlight::add_logprobs(RequestId id, std::vector<TokenLogprobs> prompt, std::vector<TokenLogprobs> generated) {
  ChoiceAnswer* choice = find(id);
  if (choice == nullptr) return;
  std::move(prompt.begin(), prompt.end(), std::back_inserter(choice->prompt_logprobs));
  std::move(generated.begin(), generated.end(), std::back_inserter(choice->logprobs));
}

Status InFlight::finish(RequestId id, const Outcome& outcome) {
  const auto found = running_.find(id);
  if (found == running_.end()) return {};
  const Running running = found->second;
  running_.erase(found);
  --replicas_[running.replica].in_flight;
  Line& line = lines_.at(running.line);
  --line.under_way;
  Status ended = line.failed ? Status{} : end_choice(running, line, outcome);
  erase_if_done(running.line);
  return ended;
}

Status InFlight::end_choice(const Running& running, Line& line, const Outcome& outcome) {
  if (outcome.reason == FinishReason::stop || outcome.reason == FinishReason::length) {
    ChoiceAnswer& choice = line.choices[static_cast<std::size_t>(running.choice)];
    choice.outcome = outcome;
    ++replicas_[running.replica].done;
    if (is_whole(line, choice)) return ++line.answered == line.api.n ? write_answer(running.line, line) : Status{};
    log::error("batch", "line {}: {} tokens and log-probabilities of {} came of {} that were generated; it is left",
               running.line, choice.tokens.size(), choice.logprobs.size(), outcome.generated);
    give_up(running.line, line);
    ++summary_.failures["tokens_lost"];
    return {};
  }
  give_up(running.line, line);
  if (outcome.reason == FinishReason::error && !outcome.error.retryable)
    return fail_line({running.line, line.custom_id, annotate(outcome.error, fmt::format("line {}", running.line))});
  const bool error = outcome.reason == FinishReason::error;
  ++summary_.failures[std::string(error ? to_string(outcome.error.code) : to_string(outcome.reason))];
  if (error) log::debug("batch", "line {} is left: {}", running.line, outcome.error.message);
  return {};
}

// What the replica says that it generated has come, and the log-probabilities that were asked for.
bool InFlight::is_whole(const Line& line, const ChoiceAnswer& choice) const {
  const LogprobsWanted& wanted = line.api.logprobs;
  return choice.tokens.size() == static_cast<std::size_t>(choice.outcome.generated) &&
         choice.logprobs.size() == (wanted.generated ? choice.tokens.size() : 0) &&
         choice.prompt_logprobs.size() == (wanted.prompt ? line.prompt.size() - 1 : 0);
}

void InFlight::give_up(std::int64_t number, Line& line) {
  line.failed = true;
  for (const auto& [id, running] : running_)
    if (running.line == number) cancel_(id);
}

// One of which choices are still to be submitted stays: whoever submits them asks gave_up().
void InFlight::erase_if_done(std::int64_t number) {
  const auto found = lines_.find(number);
  if (found->second.under_way == 0 && found->second.submitted == found->second.api.n) lines_.erase(found);
}

Status InFlight::write_answer(std::int64_t number, Line& line) {
  const bool chat = line.api.endpoint == Endpoint::chat_completions;
  std::int64_t generated_tokens = 0;
  for (const ChoiceAnswer& choice : line.choices)
    generated_tokens += static_cast<std::int64_t>(choice.tokens.size());
  nlohmann::ordered_json body = to_body(line.api,
                                        {.id = fmt::format("{}-weft-{}", chat ? "chatcmpl" : "cmpl", number),
                                         .model = options_.model_name,
                                         .created = std::time(nullptr),
                                         .prompt = line.prompt,
                                         .choices = std::move(line.choices)},
                                        tools_.tokenizer);
  WEFT_TRY(results_.append(answer_line(number, line.custom_id, std::move(body))));
  ++summary_.answered;
  summary_.prompt_tokens += static_cast<std::int64_t>(line.prompt.size());
  summary_.generated_tokens += generated_tokens;
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

std::int64_t InFlight::lines() const {
  return std::count_if(lines_.begin(), lines_.end(),
                       [](const auto& line) { return line.second.under_way > 0 && !line.second.failed; });
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
