// A batch run over token-id prompts (no tokenizer) in a directory of its own.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "frontend/batch/batch_run.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/batch/fake_router.h"

namespace weft::test {

inline std::string prompt_line(int id, int max_tokens = 3) {
  return "{\"custom_id\": \"r" + std::to_string(id) + "\", \"prompt\": [" + std::to_string(id) +
         "], \"max_tokens\": " + std::to_string(max_tokens) + "}\n";
}

inline std::string prompt_lines(int count) {
  std::string text;
  for (int id = 1; id <= count; ++id)
    text += prompt_line(id);
  return text;
}

class BatchTest : public testing::Test {
 protected:
  frontend::BatchOptions options() const {
    return {.input = directory_.file("in.jsonl"),
            .output = directory_.file("out.jsonl"),
            .model_name = "m",
            .model_identity = "model 1",
            .max_context = 1000,
            .replicas = {0, 1}};
  }
  void write_input(const std::string& text) const { directory_.write("in.jsonl", text); }
  std::string output() const { return directory_.read("out.jsonl"); }

  // Every line of the output by its id; a line that is no JSON, or an id that is there twice, fails the test.
  std::map<std::string, nlohmann::json> results() const {
    std::map<std::string, nlohmann::json> all;
    std::istringstream lines(output());
    for (std::string line; std::getline(lines, line);) {
      const auto json = nlohmann::json::parse(line, nullptr, false);
      EXPECT_FALSE(json.is_discarded()) << line;
      if (json.is_discarded()) continue;
      EXPECT_TRUE(all.emplace(json.at("id"), json).second) << json.at("id") << " is there twice";
    }
    return all;
  }

  // Opens, runs with a fake router, and hands back the summary.
  Result<frontend::BatchSummary> run(const frontend::BatchOptions& options, FakeRouterOptions router = {}) const {
    WEFT_ASSIGN(batch, frontend::BatchRun::open(options, {}));
    FakeRouter fake(*batch, std::move(router));
    WEFT_ASSIGN(summary, batch->run(fake));
    EXPECT_EQ(fake.under_way(), 0U);
    return summary;
  }

  const TemporaryDirectory directory_;
};

}  // namespace weft::test
