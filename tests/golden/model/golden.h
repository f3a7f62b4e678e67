// Goldens of whole models: what Hugging Face transformers generated, and a replica made to generate the same.
#pragma once

#include <string>
#include <vector>

#include "tests/support/thread_replica.h"
#include "weft/request.h"

namespace weft::test {

// WEFT_SHARED, else ../shared beside the checkout.
std::string shared_path(const std::string& below);

struct GoldenCase {
  std::vector<TokenId> prompt;
  std::vector<TokenId> ids;
};
// The cases of a greedy.json. Fails the test, and returns none, where the file is no such thing.
std::vector<GoldenCase> read_golden(const std::string& path);

// How a model is split, and the device it runs on.
struct Layout {
  std::int32_t tensor = 1;
  std::int32_t pipeline = 1;
};
std::string name_of(const Layout& layout);  // "tp2_pp1"

Result<std::unique_ptr<ThreadReplica>> load_replica(const std::string& directory, Layout layout,
                                                    const std::vector<GoldenCase>& cases);

// Generates as many ids as each golden has, all cases in one batch, prompts in chunks of at most `chunk` tokens.
Result<std::vector<std::vector<TokenId>>> generate_greedily(ThreadReplica& replica,
                                                            const std::vector<GoldenCase>& cases, std::int32_t chunk);

// Lowest index of the largest value.
TokenId argmax(std::span<const float> row);

// The blocks of sequence `index`, wide enough for every case.
std::vector<std::int32_t> blocks_of(std::size_t index, const std::vector<GoldenCase>& cases);

}  // namespace weft::test
