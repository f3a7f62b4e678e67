#include "tests/golden/model/golden.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "engine/weights/json_file.h"
#include "kernels/cpu/cpu_device.h"
#include "kernels/reference/reference_device.h"
#include "tests/support/sanitized.h"

namespace weft::test {
namespace {

constexpr std::int32_t block_size = 16;

std::int32_t blocks_a_sequence(const std::vector<GoldenCase>& cases) {
  std::size_t longest = 0;
  for (const GoldenCase& golden : cases)
    longest = std::max(longest, golden.prompt.size() + golden.ids.size());
  return static_cast<std::int32_t>(longest) / block_size + 1;
}

}  // namespace

std::vector<GoldenCase> read_golden(const std::string& path) {
  const auto file = engine::read_json_file(path, 16u << 20);
  EXPECT_TRUE(file) << file.error().message;
  std::vector<GoldenCase> cases;
  if (!file) return cases;
  for (const auto& entry : file->at("cases"))
    cases.push_back({entry.at("prompt_ids").get<std::vector<TokenId>>(), entry.at("ids").get<std::vector<TokenId>>()});
  return cases;
}

const std::vector<GoldenDevice>& golden_devices() {
  static const std::vector<GoldenDevice> devices = {
      {.name = "reference", .make = make_reference_device, .multiplications = sanitized ? 4e7 : 5e8},
      {.name = "cpu", .make = [] { return make_cpu_device({.threads = 1}); }, .multiplications = sanitized ? 1e9 : 0},
  };
  return devices;
}

std::vector<GoldenCase> within_limit(std::vector<GoldenCase> cases, const GoldenDevice& device, double parameters) {
  if (device.multiplications == 0) return cases;
  auto rows = static_cast<std::size_t>(device.multiplications / parameters);
  std::vector<GoldenCase> kept;
  for (GoldenCase& golden : cases) {
    if (!kept.empty() && rows <= golden.prompt.size()) break;
    const std::size_t left = rows - std::min(rows, golden.prompt.size());
    golden.ids.resize(std::clamp<std::size_t>(left, 1, golden.ids.size()));
    rows = left - std::min(left, golden.ids.size());
    kept.push_back(std::move(golden));
  }
  return kept;
}

std::string test_name(const GoldenDevice& device, const std::string& model, const Layout& layout) {
  return fmt::format("{}_{}_tp{}_pp{}", device.name, as_test_name(model), layout.tensor, layout.pipeline);
}

std::string family_of(const std::string& directory, const std::string& model) {
  const auto config = engine::read_json_file(directory + "/config.json", 1u << 20);
  if (!config) return model;
  const auto found = config->find("architectures");
  if (found == config->end() || !found->is_array() || found->empty() || !found->front().is_string()) return model;
  const auto architecture = found->front().get<std::string>();
  return architecture.substr(0, architecture.find("For"));
}

Result<std::unique_ptr<ThreadReplica>> load_replica(const std::string& directory, const GoldenDevice& device,
                                                    Layout layout, const std::vector<GoldenCase>& cases) {
  return ThreadReplica::load(
      {.model_directory = directory,
       .make_device = device.make,
       .tensor = layout.tensor,
       .pipeline = layout.pipeline,
       .blocks = blocks_a_sequence(cases) * static_cast<std::int32_t>(cases.size()),
       .runner = {.dtype = DType::f32, .block_size = block_size, .max_batch_tokens = 1024, .max_requests = 64}});
}

TokenId argmax(std::span<const float> row) {
  return static_cast<TokenId>(std::max_element(row.begin(), row.end()) - row.begin());
}

std::vector<std::int32_t> blocks_of(std::size_t index, const std::vector<GoldenCase>& cases) {
  const std::int32_t count = blocks_a_sequence(cases);
  std::vector<std::int32_t> blocks(static_cast<std::size_t>(count));
  // Last sequence first, so that no test passes because block i happened to hold position i.
  std::iota(blocks.rbegin(), blocks.rend(), static_cast<std::int32_t>(cases.size() - 1 - index) * count);
  return blocks;
}

Result<std::vector<std::vector<TokenId>>> generate_greedily(ThreadReplica& replica,
                                                            const std::vector<GoldenCase>& cases, std::int32_t chunk) {
  std::vector<std::vector<TokenId>> output(cases.size());
  std::vector<std::size_t> done(cases.size());  // tokens in the cache
  for (std::int64_t step = 0;; ++step) {
    engine::StepPlan plan{.step = step, .sequences = {}};
    std::vector<std::size_t> sampled;
    for (std::size_t i = 0; i < cases.size(); ++i) {
      if (output[i].size() == cases[i].ids.size()) continue;
      std::vector<TokenId> all = cases[i].prompt;
      all.insert(all.end(), output[i].begin(), output[i].end());
      const std::size_t end = std::min(all.size(), done[i] + static_cast<std::size_t>(chunk));
      engine::SequenceStep sequence;
      sequence.request = i + 1;
      sequence.start = static_cast<std::int32_t>(done[i]);
      sequence.tokens.assign(all.begin() + static_cast<std::ptrdiff_t>(done[i]),
                             all.begin() + static_cast<std::ptrdiff_t>(end));
      sequence.blocks = blocks_of(i, cases);
      sequence.sample = end == all.size();
      if (sequence.sample) sampled.push_back(i);
      plan.sequences.push_back(std::move(sequence));
      done[i] = end;
    }
    if (plan.sequences.empty()) return output;
    WEFT_ASSIGN(logits, replica.forward(plan));
    for (std::size_t slot = 0; slot < sampled.size(); ++slot)
      output[sampled[slot]].push_back(argmax(logits.row(static_cast<std::int32_t>(slot))));
  }
}

}  // namespace weft::test
