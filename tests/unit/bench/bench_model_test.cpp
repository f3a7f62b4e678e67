#include "cli/bench/bench_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "engine/model/weight_count.h"
#include "tests/support/temporary_directory.h"

namespace weft::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Sizes are part of what a figure's name says.
TEST(BenchModel, HasTheWeightsThatItsNameSays) {
  const auto weights = [](const char* name) {
    const auto config = engine::parse_model_config(*bench_model_config(name), nullptr);
    EXPECT_TRUE(config) << config.error().message;
    const engine::WeightCount count = engine::count_weights(*config);
    EXPECT_TRUE(config->shape.tied_embeddings);
    EXPECT_EQ(config->shape.head_dim, 64);
    return count.layers + count.head;
  };
  EXPECT_EQ(weights("bench-100m"), 75'497'472 + 24'576'000);
  EXPECT_EQ(weights("bench-430m"), 364'904'448 + 67'108'864);
  EXPECT_EQ(bench_models(), (std::vector<std::string>{"bench-100m", "bench-430m"}));
}

TEST(BenchModel, AnUnknownNameIsToldWhichThereAre) {
  const auto made = provide_bench_model({.name = "bench-7b"});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::not_found);
  EXPECT_THAT(made.error().message, AllOf(HasSubstr("bench-7b"), HasSubstr("bench-100m, bench-430m")));
  const auto resolved = resolve_model("/no/such/directory");
  ASSERT_FALSE(resolved);
  EXPECT_THAT(resolved.error().message,
              AllOf(HasSubstr("--model /no/such/directory"), HasSubstr("bench-100m, bench-430m")));
}

TEST(BenchModel, ADirectoryIsTakenAsItIs) {
  const test::TemporaryDirectory directory;
  EXPECT_EQ(resolve_model(directory.path()), directory.path());
}

}  // namespace
}  // namespace weft::cli
