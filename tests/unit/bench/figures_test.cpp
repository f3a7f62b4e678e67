#include <gtest/gtest.h>

#include "cli/bench/cost.h"
#include "cli/bench/limits.h"
#include "cli/bench/spread.h"

namespace weft::cli {
namespace {

TEST(Spread, IsMedianLeastAndMost) {
  const Spread odd = spread_of({3, 1, 2});
  EXPECT_EQ(odd.median, 2);
  EXPECT_EQ(odd.min, 1);
  EXPECT_EQ(odd.max, 3);
  EXPECT_EQ(spread_of({4, 1, 2, 10}).median, 3);
  EXPECT_EQ(spread_of({5}).median, 5);
  EXPECT_EQ(spread_of({}).median, 0);
  const Spread again = spread_from(to_json(odd));
  EXPECT_EQ(again.median, odd.median);
  EXPECT_EQ(again.max, odd.max);
}

TEST(Spread, NumbersHaveThreeDigitsThatCount) {
  EXPECT_EQ(number_text(0), "0.00");
  EXPECT_EQ(number_text(0.01234), "0.0123");
  EXPECT_EQ(number_text(0.5), "0.500");
  EXPECT_EQ(number_text(1.234), "1.23");
  EXPECT_EQ(number_text(12.34), "12.3");
  EXPECT_EQ(number_text(123.4), "123");
  EXPECT_EQ(number_text(1234.6), "1,235");
  EXPECT_EQ(number_text(1234567), "1,234,567");
  EXPECT_EQ(to_text({.median = 0.012, .min = 0.011, .max = 0.1234}, 1e3, "ms"), "12.0 ms (11.0 to 123)");
}

// By hand: 75,497,472 weights in twelve layers of hidden 768, 24,576,000 in the head.
TEST(ModelCost, CountsEachWeightOnceAStepAndTwoOperationsARow) {
  const ModelCost cost = ModelCost::of({.layers = 75'497'472, .stored = 75'497'472, .head = 24'576'000}, DType::bf16);
  EXPECT_EQ(cost.step_bytes(), 200'146'944.0);
  EXPECT_EQ(cost.operations(1, 1), 200'146'944.0);
  EXPECT_EQ(cost.operations(512, 1), 2.0 * (75'497'472.0 * 512 + 24'576'000.0));
  EXPECT_EQ(ModelCost::of({.layers = 10, .head = 2}, DType::f32).step_bytes(), 48.0);
}

TEST(ModelCost, TheLastTokenIsNotReadAgain) {
  EXPECT_EQ(rows_of(128, 128), 255);
  EXPECT_EQ(rows_of(1, 1), 1);
}

TEST(Limits, AreMeasuredEachTimeAndTold) {
  Limits limits(2, 1e6);
  EXPECT_EQ(limits.read().median, 0) << "not yet";
  limits.measure();
  limits.measure();
  const auto json = limits.to_json();
  EXPECT_EQ(json["threads"], 2);
  EXPECT_EQ(json["read_from_bytes"], 1'000'000);
  for (const char* key : {"read_bytes_per_second", "multiply_add_flops_per_second"}) {
    EXPECT_GT(json[key]["min"], 0) << key;
    EXPECT_GE(json[key]["median"], json[key]["min"]) << key;
    EXPECT_GE(json[key]["max"], json[key]["median"]) << key;
  }
  EXPECT_NE(limits.to_text().find("2 threads"), std::string::npos);
  EXPECT_EQ(share_text(0.837), "84%");
  EXPECT_EQ(share_text(0), "-");
}

TEST(Limits, NeverReadMoreThanAGibibyteNorNothing) {
  EXPECT_EQ(Limits(1, 1e12).to_json()["read_from_bytes"], 1 << 30);
  EXPECT_EQ(Limits(1, 0).to_json()["read_from_bytes"], 64 << 10);
}

}  // namespace
}  // namespace weft::cli
