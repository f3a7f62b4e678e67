#include "engine/sample/validate.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "weft/logprobs.h"

namespace weft::engine {
namespace {

Status refuse(std::string_view name, std::string found, std::string_view legal) {
  return fail(ErrorCode::invalid_argument, fmt::format("{} is {}, expected {}", name, found, legal));
}

struct Range {
  std::string_view name;
  double found = 0;
  double low = 0;
  double high = 0;
  bool low_is_legal = true;
  std::string_view legal;
};

Status check(const Range& range) {
  const bool above = range.low_is_legal ? range.found >= range.low : range.found > range.low;
  if (std::isfinite(range.found) && above && range.found <= range.high) return {};
  return refuse(range.name, fmt::format("{}", range.found), range.legal);
}

Status check_id(std::string_view name, TokenId id, std::int32_t vocabulary) {
  if (id >= 0 && id < vocabulary) return {};
  return refuse(name, fmt::format("token id {}", id), fmt::format("an id from 0 to {}", vocabulary - 1));
}

Status check_bias(const SamplingParams& sampling, std::int32_t vocabulary) {
  std::unordered_set<TokenId> seen;
  for (const auto& [id, bias] : sampling.logit_bias) {
    WEFT_TRY(check_id("logit_bias", id, vocabulary));
    if (!(bias >= -100.0f && bias <= 100.0f))
      return refuse("logit_bias", fmt::format("{} for token id {}", bias, id), "-100 to 100");
    if (!seen.insert(id).second)
      return refuse("logit_bias", fmt::format("given twice for token id {}", id), "one bias an id");
  }
  return {};
}

// Whether each id of the vocabulary ends the answer. The stop ids are legal ones; some may be there more than once.
bool every_id_ends(const StopConditions& stop, const GeneratedIds& ids) {
  const std::span<const TokenId> end_ids = stop.ignore_eos ? std::span<const TokenId>() : ids.end_ids;
  const auto all = static_cast<std::size_t>(ids.vocabulary);
  if (stop.stop_token_ids.size() + end_ids.size() < all) return false;
  std::unordered_set<TokenId> ends(stop.stop_token_ids.begin(), stop.stop_token_ids.end());
  ends.insert(end_ids.begin(), end_ids.end());
  return ends.size() == all;
}

Status check_stop(const StopConditions& stop, const GeneratedIds& ids, bool scores_prompt) {
  if (stop.max_tokens < (scores_prompt ? 0 : 1))
    return refuse("max_tokens", fmt::format("{}", stop.max_tokens), scores_prompt ? "0 or more" : "1 or more");
  if (stop.min_tokens < 0 || stop.min_tokens > stop.max_tokens)
    return refuse("min_tokens", fmt::format("{}", stop.min_tokens),
                  fmt::format("0 to max_tokens, which is {}", stop.max_tokens));
  for (const TokenId id : stop.stop_token_ids)
    WEFT_TRY(check_id("stop_token_ids", id, ids.vocabulary));
  if (stop.min_tokens > 0 && every_id_ends(stop, ids))
    return refuse("min_tokens", fmt::format("{}", stop.min_tokens),
                  "0 where stop_token_ids and the model's end ids are the whole vocabulary: no token is left to begin "
                  "with");
  for (const std::string& text : stop.stop_strings)
    if (text.empty()) return refuse("stop", "an empty string", "at least one character, or no stop string");
  return {};
}

Status check_logprobs(std::string_view name, const std::optional<std::int32_t>& best) {
  if (!best || (*best >= 0 && *best <= max_top_logprobs)) return {};
  return refuse(name, fmt::format("{}", *best), fmt::format("0 to {}", max_top_logprobs));
}

}  // namespace

Status validate(const SamplingParams& sampling, const StopConditions& stop, const GeneratedIds& ids,
                const LogprobsWanted& logprobs) {
  constexpr double most = std::numeric_limits<double>::max();
  const Range ranges[] = {
      {.name = "temperature", .found = sampling.temperature, .low = 0, .high = most, .legal = "0 or more"},
      {.name = "top_p",
       .found = sampling.top_p,
       .low = 0,
       .high = 1,
       .low_is_legal = false,
       .legal = "above 0, to 1 (off)"},
      {.name = "min_p", .found = sampling.min_p, .low = 0, .high = 1, .legal = "0 (off) to 1"},
      {.name = "repetition_penalty",
       .found = sampling.repetition_penalty,
       .low = 0,
       .high = most,
       .low_is_legal = false,
       .legal = "above 0 (1: off)"},
      {.name = "presence_penalty", .found = sampling.presence_penalty, .low = -2, .high = 2, .legal = "-2 to 2"},
      {.name = "frequency_penalty", .found = sampling.frequency_penalty, .low = -2, .high = 2, .legal = "-2 to 2"}};
  for (const Range& range : ranges)
    WEFT_TRY(check(range));
  if (sampling.top_k < 0) return refuse("top_k", fmt::format("{}", sampling.top_k), "0 (off) or more");
  WEFT_TRY(check_bias(sampling, ids.vocabulary));
  WEFT_TRY(check_logprobs("logprobs", logprobs.generated));
  WEFT_TRY(check_logprobs("prompt_logprobs", logprobs.prompt));
  return check_stop(stop, ids, logprobs.prompt.has_value());
}

}  // namespace weft::engine
