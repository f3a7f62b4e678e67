// Log-probabilities that steps gave and that routers have not been told yet, by request. One thread.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <unordered_map>

#include "core/wire/convert.h"
#include "weft/status.h"

namespace weft::worker {

class Scores {
 public:
  // Of the prompt's token `next`, and of a sampled token: its own and `best` others. data_loss where the logits are no
  // numbers.
  Status add_prompt(RequestId request, std::span<const float> logits, TokenId next, std::int32_t best);
  Status add_sampled(RequestId request, std::span<const float> logits, TokenId token, std::int32_t best);

  // Moves a request's sampled token's into the update that tells of that token.
  void take_sampled(wire::RequestUpdate& update);
  // What there is of prompts, as updates without tokens; none is larger than a link takes. In order of requests.
  std::vector<wire::RequestUpdate> take_prompts();
  void remove(RequestId request);

 private:
  std::unordered_map<RequestId, TokenLogprobs> sampled_;
  std::map<RequestId, std::vector<TokenLogprobs>> prompts_;
};

}  // namespace weft::worker
