#include "core/wire/convert.h"

#include <fmt/format.h>
#include <google/protobuf/repeated_field.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace weft::wire {
namespace {

// Length of the UTF-8 sequence at the start of `text` (RFC 3629, table in section 4); 0 if there is none.
std::size_t utf8_sequence(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const unsigned char second = byte(1);
  const bool overlong = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
  const bool surrogate = lead == 0xed && second > 0x9f;
  const bool beyond = lead == 0xf4 && second > 0x8f;
  return overlong || surrogate || beyond ? 0 : length;
}

Status check_ids(const google::protobuf::RepeatedField<std::int32_t>& ids, std::string_view what, std::size_t limit) {
  if (static_cast<std::size_t>(ids.size()) > limit) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: {} ids, expected at most {}", what, ids.size(), limit));
  }
  const auto negative = std::find_if(ids.begin(), ids.end(), [](std::int32_t id) { return id < 0; });
  if (negative != ids.end()) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: id {} at index {}, expected 0 or more", what, *negative,
                                                         std::distance(ids.begin(), negative)));
  }
  return {};
}

Status check_range(double value, double low, double high, std::string_view what) {
  if (value >= low && value <= high) return {};  // false for a value that is no number
  return fail(ErrorCode::invalid_argument, fmt::format("{}: {}, expected {} to {}", what, value, low, high));
}

Status check_sampling(const Sampling& sampling) {
  constexpr double any = std::numeric_limits<double>::max();  // finite; what means something is the engine's to say
  WEFT_TRY(check_range(sampling.temperature(), 0, any, "temperature"));
  WEFT_TRY(check_range(sampling.top_k(), 0, 0x7fffffff, "top_k"));
  WEFT_TRY(check_range(sampling.top_p(), 0, 1, "top_p"));
  WEFT_TRY(check_range(sampling.min_p(), 0, 1, "min_p"));
  WEFT_TRY(check_range(sampling.repetition_penalty(), 0, any, "repetition_penalty"));
  WEFT_TRY(check_range(sampling.presence_penalty(), -any, any, "presence_penalty"));
  WEFT_TRY(check_range(sampling.frequency_penalty(), -any, any, "frequency_penalty"));
  WEFT_TRY(check_ids(sampling.bias_ids(), "bias_ids", max_bias_entries));
  if (sampling.bias_ids_size() != sampling.bias_values_size()) {
    return fail(ErrorCode::invalid_argument, fmt::format("bias_values: {} values for {} bias_ids",
                                                         sampling.bias_values_size(), sampling.bias_ids_size()));
  }
  for (const float value : sampling.bias_values()) {
    if (std::isnan(value)) return fail(ErrorCode::invalid_argument, "bias_values: nan, expected a number");
  }
  return {};
}

// How much is generated, and what is told of it.
Status check_lengths(const Submit& submit) {
  const auto invalid = [](std::string message) { return fail(ErrorCode::invalid_argument, std::move(message)); };
  const int least = submit.has_prompt_logprobs() ? 0 : 1;
  if (submit.max_tokens() < least)
    return invalid(fmt::format("max_tokens: {}, expected {} or more", submit.max_tokens(), least));
  if (submit.min_tokens() < 0 || submit.min_tokens() > submit.max_tokens())
    return invalid(
        fmt::format("min_tokens: {}, expected 0 to max_tokens' {}", submit.min_tokens(), submit.max_tokens()));
  if (submit.has_logprobs()) WEFT_TRY(check_range(submit.logprobs(), 0, max_top_logprobs, "logprobs"));
  if (submit.has_prompt_logprobs())
    WEFT_TRY(check_range(submit.prompt_logprobs(), 0, max_top_logprobs, "prompt_logprobs"));
  if (submit.prompt_scored() < 0 || submit.prompt_scored() >= submit.prompt_size())
    return invalid(
        fmt::format("prompt_scored: {}, expected 0 to {}", submit.prompt_scored(), submit.prompt_size() - 1));
  return {};
}

Status check_submit(const Submit& submit) {
  const auto invalid = [](std::string message) { return fail(ErrorCode::invalid_argument, std::move(message)); };
  if (submit.request() == 0) return invalid("request: 0, expected an id");
  const auto tokens = static_cast<std::size_t>(submit.prompt_size()) + static_cast<std::size_t>(submit.emitted_size());
  if (tokens > max_prompt_tokens) {
    return invalid(
        fmt::format("prompt: {} tokens with what is emitted, expected at most {}", tokens, max_prompt_tokens));
  }
  WEFT_TRY(check_ids(submit.prompt(), "prompt", max_prompt_tokens));
  WEFT_TRY(check_ids(submit.emitted(), "emitted", max_prompt_tokens));
  WEFT_TRY(check_ids(submit.stop_token_ids(), "stop_token_ids", max_stop_ids));
  if (submit.prompt_size() == 0) return invalid("prompt: no tokens, expected at least one");
  if (submit.choice() < 0) return invalid(fmt::format("choice: {}, expected 0 or more", submit.choice()));
  WEFT_TRY(check_lengths(submit));
  if (submit.deadline_ms() < 0)
    return invalid(fmt::format("deadline_ms: {}, expected 0 or more", submit.deadline_ms()));
  if (static_cast<std::size_t>(submit.stop_strings_size()) > max_stop_strings) {
    return invalid(fmt::format("stop_strings: {}, expected at most {}", submit.stop_strings_size(), max_stop_strings));
  }
  for (const std::string& text : submit.stop_strings()) {
    if (text.empty() || text.size() > max_stop_string_bytes) {
      return invalid(fmt::format("stop_strings: {} bytes, expected 1 to {}", text.size(), max_stop_string_bytes));
    }
  }
  return check_sampling(submit.sampling());
}

SamplingParams from_wire(const Sampling& in) {
  SamplingParams out{.temperature = in.temperature(),
                     .top_k = in.top_k(),
                     .top_p = in.top_p(),
                     .min_p = in.min_p(),
                     .repetition_penalty = in.repetition_penalty(),
                     .presence_penalty = in.presence_penalty(),
                     .frequency_penalty = in.frequency_penalty(),
                     .logit_bias = {},
                     .seed = in.seed()};
  out.logit_bias.reserve(static_cast<std::size_t>(in.bias_ids_size()));
  for (int i = 0; i < in.bias_ids_size(); ++i)
    out.logit_bias.emplace_back(in.bias_ids(i), in.bias_values(i));
  return out;
}

void to_wire(const weft::TokenLogprobs& in, wire::TokenLogprobs& out) {
  out.mutable_ids()->Reserve(static_cast<int>(in.best.size()) + 1);
  out.mutable_logprobs()->Reserve(static_cast<int>(in.best.size()) + 1);
  out.add_ids(in.token.id);
  out.add_logprobs(in.token.logprob);
  for (const weft::TokenLogprob& one : in.best) {
    out.add_ids(one.id);
    out.add_logprobs(one.logprob);
  }
}

Result<std::vector<weft::TokenLogprobs>> from_wire(const google::protobuf::RepeatedPtrField<wire::TokenLogprobs>& in,
                                                   std::string_view what) {
  std::vector<weft::TokenLogprobs> out;
  out.reserve(static_cast<std::size_t>(in.size()));
  for (const wire::TokenLogprobs& one : in) {
    if (one.ids_size() < 1 || one.ids_size() > max_top_logprobs + 1 || one.ids_size() != one.logprobs_size())
      return fail(ErrorCode::invalid_argument, fmt::format("{}: {} ids and {} values, expected 1 to {} of both", what,
                                                           one.ids_size(), one.logprobs_size(), max_top_logprobs + 1));
    WEFT_TRY(check_ids(one.ids(), what, max_top_logprobs + 1));
    weft::TokenLogprobs made;
    for (int i = 0; i < one.ids_size(); ++i) {
      if (!(one.logprobs(i) <
            1))  // a logarithm of at most 1, but for its rounding; false for a value that is no number
        return fail(ErrorCode::invalid_argument, fmt::format("{}: {}, expected 0 or less", what, one.logprobs(i)));
      if (i == 0)
        made.token = {.id = one.ids(0), .logprob = one.logprobs(0)};
      else
        made.best.push_back({.id = one.ids(i), .logprob = one.logprobs(i)});
    }
    out.push_back(std::move(made));
  }
  return out;
}

void to_wire(const SamplingParams& in, Sampling& out) {
  out.set_temperature(in.temperature);
  out.set_top_k(in.top_k);
  out.set_top_p(in.top_p);
  out.set_min_p(in.min_p);
  out.set_repetition_penalty(in.repetition_penalty);
  out.set_presence_penalty(in.presence_penalty);
  out.set_frequency_penalty(in.frequency_penalty);
  out.set_seed(in.seed);
  for (const auto& [id, value] : in.logit_bias) {
    out.add_bias_ids(id);
    out.add_bias_values(value);
  }
}

}  // namespace

std::string to_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = utf8_sequence(text);
    if (length == 0) {
      out += '?';
      text.remove_prefix(1);
    } else {
      out += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return out;
}

std::string to_hexadecimal(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes)
    text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return text;
}

ErrorInfo to_wire(const Error& error) {
  ErrorInfo info;
  info.set_code(static_cast<std::int32_t>(error.code));
  info.set_message(to_utf8(error.message));
  info.set_retryable(error.retryable);
  return info;
}

Error from_wire(const ErrorInfo& info) {
  const bool known = info.code() >= static_cast<int>(ErrorCode::invalid_argument) &&
                     info.code() <= static_cast<int>(ErrorCode::internal);
  return Error{.code = known ? static_cast<ErrorCode>(info.code()) : ErrorCode::internal,
               .message = info.message(),
               .retryable = info.retryable()};
}

Submit to_wire(const Request& request) {
  Submit submit;
  submit.set_request(request.id);
  submit.mutable_prompt()->Add(request.prompt.begin(), request.prompt.end());
  submit.mutable_emitted()->Add(request.emitted.begin(), request.emitted.end());
  submit.set_choice(request.choice);
  to_wire(request.sampling, *submit.mutable_sampling());
  submit.set_max_tokens(request.stop.max_tokens);
  submit.mutable_stop_token_ids()->Add(request.stop.stop_token_ids.begin(), request.stop.stop_token_ids.end());
  for (const std::string& text : request.stop.stop_strings)
    submit.add_stop_strings(to_utf8(text));
  submit.set_ignore_eos(request.stop.ignore_eos);
  submit.set_deadline_ms(request.deadline_ms);
  submit.set_priority(request.priority);
  submit.set_min_tokens(request.stop.min_tokens);
  if (request.logprobs.generated) submit.set_logprobs(*request.logprobs.generated);
  if (request.logprobs.prompt) submit.set_prompt_logprobs(*request.logprobs.prompt);
  submit.set_prompt_scored(request.prompt_scored);
  return submit;
}

Result<Request> from_wire(const Submit& submit) {
  WEFT_TRY_CONTEXT(check_submit(submit), fmt::format("request {}", submit.request()));
  const auto given = [](bool is_given, std::int32_t value) {
    return is_given ? std::optional(value) : std::optional<std::int32_t>();
  };
  return Request{.id = submit.request(),
                 .prompt = {submit.prompt().begin(), submit.prompt().end()},
                 .emitted = {submit.emitted().begin(), submit.emitted().end()},
                 .choice = submit.choice(),
                 .sampling = from_wire(submit.sampling()),
                 .stop = {.max_tokens = submit.max_tokens(),
                          .min_tokens = submit.min_tokens(),
                          .stop_token_ids = {submit.stop_token_ids().begin(), submit.stop_token_ids().end()},
                          .stop_strings = {submit.stop_strings().begin(), submit.stop_strings().end()},
                          .ignore_eos = submit.ignore_eos()},
                 .deadline_ms = submit.deadline_ms(),
                 .priority = submit.priority(),
                 .logprobs = {.generated = given(submit.has_logprobs(), submit.logprobs()),
                              .prompt = given(submit.has_prompt_logprobs(), submit.prompt_logprobs())},
                 .prompt_scored = submit.prompt_scored()};
}

void add_update(const RequestUpdate& update, StepOutput& output) {
  RequestOutput& out = *output.add_outputs();
  out.set_request(update.request);
  out.mutable_tokens()->Add(update.tokens.begin(), update.tokens.end());
  out.set_finish_reason(static_cast<std::int32_t>(update.finish_reason));
  if (update.error) *out.mutable_error() = to_wire(*update.error);
  if (!update.matched_stop.empty()) out.set_matched_stop(to_utf8(update.matched_stop));
  out.set_text_offset(update.text_offset);
  for (const weft::TokenLogprobs& one : update.logprobs)
    to_wire(one, *out.add_logprobs());
  for (const weft::TokenLogprobs& one : update.prompt_logprobs)
    to_wire(one, *out.add_prompt_logprobs());
}

Result<RequestUpdate> from_wire(const RequestOutput& output) {
  const auto invalid = [&](std::string_view message) {
    return fail(ErrorCode::invalid_argument, fmt::format("request {}: {}", output.request(), message));
  };
  if (output.request() == 0) return invalid("expected an id that is not 0");
  WEFT_TRY_CONTEXT(check_ids(output.tokens(), "tokens", max_output_tokens),
                   fmt::format("request {}", output.request()));
  if (output.finish_reason() < 0 || output.finish_reason() > static_cast<int>(FinishReason::deadline)) {
    return invalid(fmt::format("finish_reason: {}, expected 0 to {}", output.finish_reason(),
                               static_cast<int>(FinishReason::deadline)));
  }
  if (output.matched_stop().size() > max_stop_string_bytes) {
    return invalid(fmt::format("matched_stop: {} bytes, expected at most {}", output.matched_stop().size(),
                               max_stop_string_bytes));
  }
  if (output.text_offset() < -1)
    return invalid(fmt::format("text_offset: {}, expected -1 or more", output.text_offset()));
  if (output.logprobs_size() != 0 && output.logprobs_size() != output.tokens_size())
    return invalid(fmt::format("logprobs: of {} tokens, expected of {}", output.logprobs_size(), output.tokens_size()));
  if (static_cast<std::size_t>(output.prompt_logprobs_size()) > max_output_tokens)
    return invalid(fmt::format("prompt_logprobs: of {} tokens, expected at most {}", output.prompt_logprobs_size(),
                               max_output_tokens));
  const std::string context = fmt::format("request {}", output.request());
  WEFT_ASSIGN_CONTEXT(logprobs, from_wire(output.logprobs(), "logprobs"), context);
  WEFT_ASSIGN_CONTEXT(prompt_logprobs, from_wire(output.prompt_logprobs(), "prompt_logprobs"), context);
  RequestUpdate update{.request = output.request(),
                       .tokens = {output.tokens().begin(), output.tokens().end()},
                       .finish_reason = static_cast<FinishReason>(output.finish_reason()),
                       .error = std::nullopt,
                       .matched_stop = output.matched_stop(),
                       .text_offset = output.text_offset(),
                       .logprobs = std::move(logprobs),
                       .prompt_logprobs = std::move(prompt_logprobs)};
  if (output.has_error()) update.error = from_wire(output.error());
  if (update.finish_reason == FinishReason::error && !update.error) {
    return invalid("finish_reason is error, expected one beside it");
  }
  return update;
}

Result<std::vector<RequestUpdate>> from_wire(const StepOutput& output) {
  if (static_cast<std::size_t>(output.outputs_size()) > max_outputs) {
    return fail(ErrorCode::invalid_argument, fmt::format("step {}: {} outputs, expected at most {}", output.step(),
                                                         output.outputs_size(), max_outputs));
  }
  std::vector<RequestUpdate> updates;
  updates.reserve(static_cast<std::size_t>(output.outputs_size()));
  for (const RequestOutput& one : output.outputs()) {
    WEFT_ASSIGN_CONTEXT(update, from_wire(one), fmt::format("step {}", output.step()));
    updates.push_back(std::move(update));
  }
  return updates;
}

}  // namespace weft::wire
