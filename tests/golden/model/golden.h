// Goldens of whole models: what Hugging Face transformers generated, and a replica made to generate the same.
#pragma once

#include <string>
#include <vector>

#include "tests/support/goldens.h"
#include "tests/support/thread_replica.h"
#include "weft/request.h"

namespace weft::test {

struct GoldenCase {
  std::vector<TokenId> prompt;
  std::vector<TokenId> ids;
};
// The cases of a greedy.json. Fails the test, and returns none, where the file is no such thing.
std::vector<GoldenCase> read_golden(const std::string& path);

// How a model is split.
struct Layout {
  std::int32_t tensor = 1;
  std::int32_t pipeline = 1;
};

// A device to hold against the goldens, and how much work it is given: a naive one gets through the first part of the
// cases only, and so does each under a sanitizer.
struct GoldenDevice {
  std::string name;
  DeviceFactory make;
  double multiplications = 0;  // rows times parameters; 0: no limit
};
const std::vector<GoldenDevice>& golden_devices();

// The first cases that stay inside the device's limit for a model of `parameters`, the last one shortened; at least one.
std::vector<GoldenCase> within_limit(std::vector<GoldenCase> cases, const GoldenDevice& device, double parameters);

// Whether a model is of a family that this version does not know: its goldens wait for it.
template <class Config>
bool is_family_to_come(const Result<Config>& config) {
  return !config && config.error().code == ErrorCode::unimplemented &&
         config.error().message.find("unknown architecture") != std::string::npos;
}

// "reference_weft_tiny_tp2_pp1".
std::string test_name(const GoldenDevice& device, const std::string& model, const Layout& layout);

// What config.json calls the model: "Qwen2", without the rest of "Qwen2ForCausalLM"; the model's own name where it does not.
std::string family_of(const std::string& directory, const std::string& model);

Result<std::unique_ptr<ThreadReplica>> load_replica(const std::string& directory, const GoldenDevice& device,
                                                    Layout layout, const std::vector<GoldenCase>& cases);

// Generates as many ids as each golden has, all cases in one batch, prompts in chunks of at most `chunk` tokens.
Result<std::vector<std::vector<TokenId>>> generate_greedily(ThreadReplica& replica,
                                                            const std::vector<GoldenCase>& cases, std::int32_t chunk);

// Lowest index of the largest value.
TokenId argmax(std::span<const float> row);

// The blocks of sequence `index`, wide enough for every case.
std::vector<std::int32_t> blocks_of(std::size_t index, const std::vector<GoldenCase>& cases);

}  // namespace weft::test
