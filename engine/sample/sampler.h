// From logits to a token. See README.md for the order of the steps; ties: top_k keeps all equal to the k-th, top_p goes by
// falling probability and rising id, temperature 0 takes the lowest id among equals.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "weft/request.h"
#include "weft/status.h"

namespace weft::engine {

struct Candidate {
  TokenId id = 0;
  double probability = 0;  // above 0; those of all candidates sum to 1
};

// Keeps scratch memory of about 24 bytes a vocabulary entry between calls. One thread at a time.
class Sampler {
 public:
  // One token. `logits` [vocabulary] are raw and are destroyed; `params` have passed validate(); `prompt` and
  // `generated` are what penalties count (ids outside the vocabulary are left out); `position` is the index in
  // prompt + generated of the token that is sampled. data_loss where the logits hold NaN or +inf, or nothing is
  // possible: the model's output is broken, not the request.
  Result<TokenId> sample(std::span<float> logits, const SamplingParams& params, std::span<const TokenId> prompt,
                         std::span<const TokenId> generated, std::int32_t choice, std::int64_t position);

  // What sample() would draw from, in ascending id. Destroys `logits` too.
  Result<std::vector<Candidate>> survivors(std::span<float> logits, const SamplingParams& params,
                                           std::span<const TokenId> prompt, std::span<const TokenId> generated);

 private:
  // A token whose logit is not the raw one. Its place in `logits` holds -inf, so the dense loops pass it by.
  struct Adjusted {
    TokenId id = 0;
    double value = 0;
    std::int32_t generated = 0;  // times
    bool seen = false;           // in prompt or generated
  };

  Adjusted& adjusted(std::span<const float> logits, TokenId id);
  void adjust(std::span<float> logits, const SamplingParams& params, std::span<const TokenId> prompt,
              std::span<const TokenId> generated);
  Result<double> largest(std::span<const float> logits) const;
  TokenId greedy(std::span<const float> logits, double largest) const;
  double kth_largest(std::span<const float> logits, std::size_t k, double floor);
  void collect(std::span<const float> logits, double floor);
  Status prepare(std::span<float> logits, const SamplingParams& params, std::span<const TokenId> prompt,
                 std::span<const TokenId> generated);

  std::vector<Adjusted> adjusted_;   // ascending id once adjust() is done
  std::vector<std::int32_t> place_;  // by id: index into adjusted_ while adjust() runs, else -1
  std::vector<TokenId> ids_;         // of weights_; empty: weights_ are those of the whole vocabulary
  std::vector<double> weights_;      // not normalised; the most probable candidate has 1
  std::vector<double> best_;         // scratch of kth_largest
};

}  // namespace weft::engine
