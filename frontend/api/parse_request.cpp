#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <limits>

#include "frontend/api/api_request.h"
#include "frontend/api/fields.h"
#include "frontend/api/parse_prompt.h"

namespace weft::frontend {
namespace {

constexpr std::int64_t int32_max = std::numeric_limits<std::int32_t>::max();
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr std::size_t max_stop_strings = 64;  // each token's text is searched for all of them
constexpr std::size_t max_stop_bytes = 4096;  // of one
constexpr std::size_t max_biased_tokens = 4096;
constexpr std::int64_t max_choices = 128;  // OpenAI's limit

// Keys that ask for what is not built, unless they have the value that asks for nothing.
Status refuse_unbuilt(const Fields& body) {
  const auto is = [](const Json& value, std::initializer_list<Json> harmless) {
    return std::find(harmless.begin(), harmless.end(), value) != harmless.end();
  };
  const auto asks = [&](std::string_view key) {
    const Json& value = *body.find(key);
    if (key == "response_format")
      return !(value.is_object() && value.size() == 1 && value.value("type", Json()) == "text");
    if (key == "tool_choice" || key == "function_call") return !is(value, {Json("none"), Json("auto")});
    if (key == "suffix") return !is(value, {Json("")});
    return !is(value, {Json(false), Json::array(), Json::object()});
  };
  for (const std::string_view key :
       {"stream", "stream_options", "prompt_logprobs", "suffix", "tools", "tool_choice", "functions", "function_call",
        "response_format", "chat_template", "chat_template_kwargs", "documents", "structured_outputs", "guided_json",
        "guided_regex", "guided_choice", "guided_grammar"})
    if (body.find(key) != nullptr && asks(key))
      return fail(ErrorCode::invalid_argument, fmt::format("{}: not in this version; leave the key out",
                                                           wrong(key, *body.find(key), "nothing").message));
  return {};
}

Status parse_logit_bias(const Fields& body, SamplingParams& sampling) {
  const Json* bias = body.find("logit_bias");
  if (bias == nullptr) return {};
  if (!bias->is_object() || bias->size() > max_biased_tokens)
    return fail(wrong("logit_bias", *bias, fmt::format("an object of at most {} token ids", max_biased_tokens)));
  for (const auto& [key, value] : bias->items()) {
    TokenId id = 0;
    const auto [end, code] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (code != std::errc{} || end != key.data() + key.size() || id < 0)
      return fail(wrong("logit_bias", Json(key), "token ids, integers from 0 to 2147483647, as keys"));
    const double found = value.is_number() ? value.get<double>() : infinity;
    if (!(found >= -100 && found <= 100)) return fail(wrong("logit_bias." + key, value, "a number from -100 to 100"));
    sampling.logit_bias.emplace_back(id, static_cast<float>(found));
  }
  return {};
}

// The body's number, else the model's default, else `value` as it is.
Status take(const Fields& body, std::string_view key, Range range, const std::optional<double>& model_default,
            double& value) {
  WEFT_ASSIGN(given, body.number(key, range));
  value = given.value_or(model_default.value_or(value));
  return {};
}

Status parse_sampling(const Fields& body, const GenerationDefaults& defaults, ApiRequest& request) {
  SamplingParams& sampling = request.sampling;
  const std::optional<double> temperature = defaults.do_sample == false ? 0.0 : defaults.temperature;
  WEFT_TRY(take(body, "temperature", {.low = 0, .high = infinity}, temperature, sampling.temperature));
  WEFT_TRY(take(body, "top_p", {.low = 0, .high = 1, .open_low = true}, defaults.top_p, sampling.top_p));
  WEFT_TRY(take(body, "min_p", {.low = 0, .high = 1}, defaults.min_p, sampling.min_p));
  WEFT_TRY(take(body, "repetition_penalty", {.low = 0, .high = infinity, .open_low = true}, defaults.repetition_penalty,
                sampling.repetition_penalty));
  WEFT_TRY(take(body, "presence_penalty", {.low = -2, .high = 2}, std::nullopt, sampling.presence_penalty));
  WEFT_TRY(take(body, "frequency_penalty", {.low = -2, .high = 2}, std::nullopt, sampling.frequency_penalty));
  WEFT_ASSIGN(top_k, body.integer("top_k", -1, int32_max));  // -1 and 0: off
  sampling.top_k = top_k ? static_cast<std::int32_t>(std::max<std::int64_t>(*top_k, 0)) : defaults.top_k.value_or(0);
  if (const Json* seed = body.find("seed")) {
    if (!seed->is_number_integer()) return fail(wrong("seed", *seed, "a 64-bit integer"));
    sampling.seed =
        seed->is_number_unsigned() ? seed->get<std::uint64_t>() : static_cast<std::uint64_t>(seed->get<std::int64_t>());
    request.seed_given = true;
  }
  return parse_logit_bias(body, sampling);
}

Status parse_stop_strings(const Fields& body, std::vector<std::string>& strings) {
  const Json* stop = body.find("stop");
  if (stop == nullptr) return {};
  const Json list = stop->is_array() ? *stop : Json::array({*stop});
  if (list.size() > max_stop_strings)
    return fail(wrong("stop", *stop, fmt::format("at most {} strings", max_stop_strings)));
  for (const Json& one : list) {
    if (!one.is_string()) return fail(wrong("stop", one, "a string or a list of strings"));
    const auto& text = one.get_ref<const std::string&>();
    if (text.empty() || text.size() > max_stop_bytes)
      return fail(wrong("stop", one, fmt::format("strings of 1 to {} bytes", max_stop_bytes)));
    strings.push_back(text);
  }
  return {};
}

Status parse_choices(const Fields& body, ApiRequest& request) {
  WEFT_ASSIGN(n, body.integer("n", 1, max_choices));
  request.n = static_cast<std::int32_t>(n.value_or(1));
  WEFT_ASSIGN(best_of, body.integer("best_of", 1, max_choices));
  if (best_of && *best_of != request.n)
    return fail(
        wrong("best_of", Json(*best_of), fmt::format("n's {}: choosing among more is not in this version", request.n)));
  return {};
}

// OpenAI's keys: a chat says whether, and beside it how many of the best; a completion how many, and may echo its prompt.
Status parse_logprobs(const Fields& body, ApiRequest& request) {
  if (request.endpoint == Endpoint::chat_completions) {
    WEFT_ASSIGN(logprobs, body.boolean("logprobs"));
    WEFT_ASSIGN(best, body.integer("top_logprobs", 0, max_top_logprobs));
    if (best.value_or(0) > 0 && !logprobs.value_or(false))
      return fail(wrong("top_logprobs", Json(*best), "'logprobs': true beside it"));
    if (logprobs.value_or(false)) request.logprobs.generated = static_cast<std::int32_t>(best.value_or(0));
    if (const Json* echo = body.find("echo"); echo != nullptr && *echo != false)
      return fail(wrong("echo", *echo, "false, or /v1/completions: a chat has no prompt that could be echoed"));
    return {};
  }
  const Json* none = body.find("logprobs");
  if (none == nullptr || *none != false) {
    WEFT_ASSIGN(best, body.integer("logprobs", 0, max_top_logprobs));
    if (best) request.logprobs.generated = static_cast<std::int32_t>(*best);
  }
  if (const Json* best = body.find("top_logprobs"); best != nullptr && *best != 0)
    return fail(wrong("top_logprobs", *best, "nothing: a completion's key is 'logprobs', a number"));
  WEFT_ASSIGN(echo, body.boolean("echo"));
  request.echo = echo.value_or(false);
  if (request.echo) request.logprobs.prompt = request.logprobs.generated;
  return {};
}

Status parse_stop(const Fields& body, std::int32_t default_max_tokens, ApiRequest& request) {
  const std::int64_t least = request.echo ? 0 : 1;  // 0: nothing but the prompt
  WEFT_ASSIGN(max_tokens, body.integer("max_tokens", least, int32_max));
  WEFT_ASSIGN(max_completion_tokens, body.integer("max_completion_tokens", least, int32_max));
  if (max_tokens && max_completion_tokens && *max_tokens != *max_completion_tokens)
    return fail(wrong("max_completion_tokens", Json(*max_completion_tokens),
                      fmt::format("max_tokens' {}, or only one of the two keys", *max_tokens)));
  if (!max_tokens) max_tokens = max_completion_tokens;
  request.max_tokens_given = max_tokens.has_value();
  request.stop.max_tokens = static_cast<std::int32_t>(max_tokens.value_or(default_max_tokens));
  // An engine that generates nothing has the prompt to score, wanted or not.
  if (request.stop.max_tokens == 0 && !request.logprobs.prompt) request.logprobs.prompt = 0;
  WEFT_ASSIGN(min_tokens, body.integer("min_tokens", 0, int32_max));
  if (min_tokens.value_or(0) > request.stop.max_tokens)
    return fail(wrong("min_tokens", Json(*min_tokens), fmt::format("at most max_tokens' {}", request.stop.max_tokens)));
  request.stop.min_tokens = static_cast<std::int32_t>(min_tokens.value_or(0));
  WEFT_ASSIGN(include_stop, body.boolean("include_stop_str_in_output"));
  request.include_stop = include_stop.value_or(false);
  WEFT_TRY(parse_stop_strings(body, request.stop.stop_strings));
  WEFT_ASSIGN(stop_token_ids, body.token_ids("stop_token_ids"));
  request.stop.stop_token_ids = std::move(stop_token_ids);
  WEFT_ASSIGN(ignore_eos, body.boolean("ignore_eos"));
  request.stop.ignore_eos = ignore_eos.value_or(false);
  return {};
}

}  // namespace

Result<ApiRequest> parse_request(Endpoint endpoint, const nlohmann::ordered_json& body,
                                 const GenerationDefaults& defaults, std::int32_t default_max_tokens) {
  if (!body.is_object()) return fail(wrong("body", body, "an object"));
  const Fields fields(body);
  ApiRequest request{.endpoint = endpoint};
  WEFT_TRY(fields.string("model"));
  WEFT_TRY(fields.string("user"));
  WEFT_TRY(refuse_unbuilt(fields));
  WEFT_ASSIGN(prompt, parse_prompt(endpoint, fields));
  request.prompt = std::move(prompt);
  WEFT_TRY(parse_choices(fields, request));
  WEFT_TRY(parse_logprobs(fields, request));
  WEFT_TRY(parse_sampling(fields, defaults, request));
  WEFT_TRY(parse_stop(fields, default_max_tokens, request));
  WEFT_ASSIGN(return_token_ids, fields.boolean("return_token_ids"));
  request.return_token_ids = return_token_ids.value_or(false);
  return request;
}

}  // namespace weft::frontend
