#include "worker/scores.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "engine/sample/logprobs.h"

namespace weft::worker {
namespace {

// Of 21 entries of at most 14 bytes each: an update of some 300 KB.
constexpr std::size_t most_in_update = 1024;

}  // namespace

Status Scores::add_prompt(RequestId request, std::span<const float> logits, TokenId next, std::int32_t best) {
  WEFT_ASSIGN(logprobs, engine::logprobs_of(logits, next, best));
  prompts_[request].push_back(std::move(logprobs));
  return {};
}

Status Scores::add_sampled(RequestId request, std::span<const float> logits, TokenId token, std::int32_t best) {
  WEFT_ASSIGN(logprobs, engine::logprobs_of(logits, token, best));
  sampled_.insert_or_assign(request, std::move(logprobs));
  return {};
}

void Scores::take_sampled(wire::RequestUpdate& update) {
  const auto found = sampled_.find(update.request);
  if (found == sampled_.end() || update.tokens.empty()) return;
  update.logprobs.push_back(std::move(found->second));
  sampled_.erase(found);
}

std::vector<wire::RequestUpdate> Scores::take_prompts() {
  std::vector<wire::RequestUpdate> updates;
  for (auto& [request, scores] : std::exchange(prompts_, {})) {
    for (std::size_t first = 0; first < scores.size(); first += most_in_update) {
      wire::RequestUpdate update{.request = request};
      const auto begin = scores.begin() + static_cast<std::ptrdiff_t>(first);
      const auto end = scores.begin() + static_cast<std::ptrdiff_t>(std::min(first + most_in_update, scores.size()));
      update.prompt_logprobs.assign(std::move_iterator(begin), std::move_iterator(end));
      updates.push_back(std::move(update));
    }
  }
  return updates;
}

void Scores::remove(RequestId request) {
  sampled_.erase(request);
  prompts_.erase(request);
}

}  // namespace weft::worker
