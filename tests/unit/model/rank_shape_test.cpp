#include "engine/model/rank_shape.h"

#include <gtest/gtest.h>

#include <string>

namespace weft::engine {
namespace {

const ModelShape model{
    .layers = 5, .hidden = 32, .query_heads = 8, .kv_heads = 2, .head_dim = 4, .intermediate = 30, .vocabulary = 101};

RankShape shape_of(RankPosition position) {
  const auto shape = rank_shape(model, position);
  EXPECT_TRUE(shape) << shape.error().message;
  return shape ? *shape : RankShape{};
}

void expect_refused(RankPosition position, const std::string& message) {
  const auto shape = rank_shape(model, position);
  ASSERT_FALSE(shape);
  EXPECT_EQ(shape.error().message, message);
  EXPECT_EQ(shape.error().code, ErrorCode::invalid_argument);
}

TEST(RankShape, RanksShareLayersHeadsColumnsAndIds) {
  const RankShape last = shape_of({.tp_rank = 1, .tp_size = 2, .pp_rank = 1, .pp_size = 2});
  EXPECT_EQ(last.layers, (Slice{2, 3}));
  EXPECT_EQ(last.query_heads, (Slice{4, 4}));
  EXPECT_EQ(last.kv_heads, (Slice{1, 1}));
  EXPECT_EQ(last.intermediate, (Slice{15, 15}));
  EXPECT_EQ(last.vocabulary, (Slice{50, 51}));
  EXPECT_EQ(last.vocabulary_width, 51);
  EXPECT_FALSE(last.first_stage);
  EXPECT_TRUE(last.last_stage);
  EXPECT_FALSE(last.leader());
}

TEST(RankShape, FewKvHeadsAreReplicatedBesideTheQueriesThatShareThem) {
  for (std::int32_t rank = 0; rank < 8; ++rank) {
    const RankShape shape = shape_of({.tp_rank = rank, .tp_size = 8});
    EXPECT_EQ(shape.kv_heads, (Slice{shape.query_heads.first / 4, 1}));
  }
}

TEST(RankShape, SaysWhatDoesNotDivide) {
  expect_refused({.tp_size = 3}, "model: tensor = 3 does not divide the 8 query heads");
  expect_refused({.pp_size = 6}, "model: pipeline = 6, but the model has 5 layers");
  expect_refused({.tp_rank = 2, .tp_size = 2}, "model: no rank tp 2 of 2, pp 0 of 1");
  expect_refused({.pp_size = 0}, "model: no rank tp 0 of 1, pp 0 of 0");
  ModelShape odd = model;
  odd.query_heads = 12;
  odd.kv_heads = 6;
  const auto shape = rank_shape(odd, {.tp_size = 4});
  ASSERT_FALSE(shape);
  EXPECT_EQ(shape.error().message, "model: tensor = 4 neither divides nor is a multiple of the 6 KV heads");
}

}  // namespace
}  // namespace weft::engine
