#include "engine/model/expert_routing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace weft::engine {
namespace {

using testing::ElementsAre;

std::vector<std::int32_t> rows_of(const ExpertRouting& routing, std::int32_t expert) {
  const auto [first, count] = routing.of(expert);
  const auto rows = routing.rows().subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
  return {rows.begin(), rows.end()};
}

TEST(ExpertRouting, GivesEachExpertTheRowsThatChoseIt) {
  ExpertRouting routing;
  for (int repeat = 0; repeat < 2; ++repeat) {  // nothing of the step before is left
    routing.begin(4, 2, true);
    routing.add(std::vector<float>{0, 1, 2, 3});
    routing.add(std::vector<float>{5, 0, 0, 5});
    routing.add(std::vector<float>{1, 1, 1, 1});
    routing.finish();
    EXPECT_THAT(rows_of(routing, 0), ElementsAre(1, 2));
    EXPECT_THAT(rows_of(routing, 1), ElementsAre(2)) << "the lower experts among equals";
    EXPECT_THAT(rows_of(routing, 2), ElementsAre(0));
    EXPECT_THAT(rows_of(routing, 3), ElementsAre(0, 1));
    EXPECT_FLOAT_EQ(routing.share(routing.of(3).first), std::exp(3.0f) / (std::exp(3.0f) + std::exp(2.0f)));
    EXPECT_FLOAT_EQ(routing.share(routing.of(1).first), 0.5f);
  }
}

TEST(ExpertRouting, SharesAreASoftmaxOverAllWhereTheyAreNotNormalised) {
  ExpertRouting routing;
  routing.begin(3, 1, false);
  routing.add(std::vector<float>{1000, 1001, 1000});
  routing.finish();
  EXPECT_FLOAT_EQ(routing.share(0), 1 / (1 + 2 * std::exp(-1.0f)));
}

TEST(ExpertRouting, TakesWhatItIsGivenOfLogitsThatAreNoNumbers) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::mt19937 random(3);
  for (int i = 0; i < 500; ++i) {
    ExpertRouting routing;
    routing.begin(9, 4, true);
    std::vector<float> logits(9);
    for (float& logit : logits)
      logit = random() % 3 == 0 ? nan : random() % 5 == 0 ? HUGE_VALF : static_cast<float>(random() % 4);
    routing.add(logits);
    routing.finish();
    EXPECT_EQ(routing.rows().size(), 4u);
  }
}

}  // namespace
}  // namespace weft::engine
