// One sampled token at a vocabulary of 152,064 (Qwen2.5's, padded), from logits as a trained model gives them (a few far
// above a broad bulk) and from flat ones, which are the worst case of top_p.
#include <benchmark/benchmark.h>

#include <limits>
#include <random>
#include <vector>

#include "engine/sample/logprobs.h"
#include "engine/sample/sampler.h"

namespace weft::engine {
namespace {

constexpr std::size_t vocabulary = 152064;

std::vector<float> logits_like(bool flat) {
  std::mt19937 random(1);
  std::normal_distribution<float> bulk(0, flat ? 0.1f : 2.0f);
  std::vector<float> logits(vocabulary);
  for (float& logit : logits)
    logit = bulk(random);
  if (!flat)
    for (int i = 0; i < 200; ++i)
      logits[random() % vocabulary] = 10 + 3 * bulk(random);
  return logits;
}

void run(benchmark::State& state, const SamplingParams& params, bool flat) {
  const std::vector<float> original = logits_like(flat);
  std::vector<float> logits = original;
  std::mt19937 random(2);
  std::vector<TokenId> prompt(1500);
  std::vector<TokenId> generated(500);
  for (auto* ids : {&prompt, &generated})
    for (TokenId& id : *ids)
      id = static_cast<TokenId>(random() % vocabulary);
  Sampler sampler;
  std::int64_t position = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(sampler.sample(logits, params, prompt, generated, 0, ++position));
    // Penalties destroy the logits of what they touch; to put those back costs next to nothing.
    for (const auto* ids : {&prompt, &generated})
      for (const TokenId id : *ids)
        logits[static_cast<std::size_t>(id)] = original[static_cast<std::size_t>(id)];
  }
}

void SampleGreedy(benchmark::State& state) { run(state, {.temperature = 0, .logit_bias = {}}, false); }
void SampleTemperature(benchmark::State& state) { run(state, {}, false); }
void SampleTopP(benchmark::State& state) { run(state, {.temperature = 0.7, .top_p = 0.9, .logit_bias = {}}, false); }
void SampleTopPFlat(benchmark::State& state) { run(state, {.top_p = 0.9, .logit_bias = {}}, true); }
void SampleTopK(benchmark::State& state) { run(state, {.top_k = 50, .logit_bias = {}}, false); }
void SampleTopKTopP(benchmark::State& state) { run(state, {.top_k = 50, .top_p = 0.9, .logit_bias = {}}, false); }
void SampleMinP(benchmark::State& state) { run(state, {.min_p = 0.05, .logit_bias = {}}, false); }
void SampleTopKPenalties(benchmark::State& state) {
  run(state,
      {.temperature = 0.7,
       .top_k = 50,
       .repetition_penalty = 1.1,
       .presence_penalty = 0.5,
       .frequency_penalty = 0.2,
       .logit_bias = {}},
      false);
}
BENCHMARK(SampleGreedy)->Unit(benchmark::kMicrosecond);
BENCHMARK(SampleTemperature)->Unit(benchmark::kMicrosecond);
BENCHMARK(SampleTopP)->Unit(benchmark::kMicrosecond);
BENCHMARK(SampleTopPFlat)->Unit(benchmark::kMicrosecond);
BENCHMARK(SampleTopK)->Unit(benchmark::kMicrosecond);
BENCHMARK(SampleTopKTopP)->Unit(benchmark::kMicrosecond);
BENCHMARK(SampleMinP)->Unit(benchmark::kMicrosecond);
BENCHMARK(SampleTopKPenalties)->Unit(benchmark::kMicrosecond);

void Sample20Logprobs(benchmark::State& state) {
  const std::vector<float> logits = logits_like(false);
  for (auto _ : state)
    benchmark::DoNotOptimize(logprobs_of(logits, 77, 20).value());
}
BENCHMARK(Sample20Logprobs)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace weft::engine
