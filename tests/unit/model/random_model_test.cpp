#include "engine/model/random_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "engine/model/tensor_list.h"
#include "engine/model/weight_count.h"
#include "tests/unit/model/tiny_model.h"

namespace weft::engine {
namespace {

using ::testing::HasSubstr;

class RandomModelTest : public ::testing::Test {
 protected:
  Result<bool> make(std::uint64_t seed = 3, DType type = DType::bf16, const std::string& name = "model") {
    return make_random_model(directory_.file(name), {.config = &config_, .type = type, .seed = seed});
  }
  std::string weights(const std::string& name = "model") { return directory_.read(name + "/model.safetensors"); }

  nlohmann::json config_ = test::tiny_config();
  test::TemporaryDirectory directory_;
};

TEST_F(RandomModelTest, IsAModelOfItsConfigAndIsMadeOnce) {
  ASSERT_EQ(make(), true);
  const auto model = read_model_config(directory_.file("model"));
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->shape.dtype, DType::bf16);
  EXPECT_EQ(make(), false);
}

TEST_F(RandomModelTest, ASeedGivesTheSameBytesAndAnotherOneOthers) {
  ASSERT_EQ(make(3, DType::f32, "a"), true);
  ASSERT_EQ(make(3, DType::f32, "b"), true);
  ASSERT_EQ(make(4, DType::f32, "c"), true);
  EXPECT_EQ(weights("a"), weights("b"));
  EXPECT_NE(weights("a"), weights("c"));
}

TEST_F(RandomModelTest, MatricesVaryAsTheyShouldAndNormsDoNotScale) {
  for (const DType type : {DType::f32, DType::bf16, DType::f16}) {
    const std::string name(to_string(type));
    ASSERT_EQ(make(1, type, name), true);
    const auto checkpoint = Checkpoint::open(directory_.file(name));
    ASSERT_TRUE(checkpoint);
    const auto value = [&](const TensorEntry& tensor, std::size_t i) {
      if (type == DType::f32) return reinterpret_cast<const float*>(tensor.data)[i];
      if (type == DType::bf16) return to_f32(reinterpret_cast<const bf16*>(tensor.data)[i]);
      return to_f32(reinterpret_cast<const f16*>(tensor.data)[i]);
    };
    for (const std::string_view each : checkpoint->names()) {
      const TensorEntry& tensor = *checkpoint->find(each).tensor;
      const std::size_t count = tensor.bytes / size_of(type);
      double sum = 0, squares = 0;
      for (std::size_t i = 0; i < count; ++i) {
        sum += value(tensor, i);
        squares += double{value(tensor, i)} * value(tensor, i);
      }
      const auto size = static_cast<double>(count);
      if (tensor.shape.size() == 1) {
        EXPECT_EQ(sum, size) << each;
        continue;
      }
      EXPECT_NEAR(sum / size, 0, 5 * 0.02 / std::sqrt(size)) << each;
      EXPECT_NEAR(std::sqrt(squares / size), 0.02, 0.1 * 0.02) << each;
    }
  }
}

TEST_F(RandomModelTest, WhatAnInterruptedMakerOrADamagedDiskLeftIsFinished) {
  ASSERT_EQ(make(), true);
  const std::string whole = weights();
  std::filesystem::remove(directory_.file("model/config.json"));
  directory_.write("model/model.safetensors.new", "part");
  EXPECT_EQ(make(), true);
  EXPECT_EQ(weights(), whole);
  std::filesystem::resize_file(directory_.file("model/model.safetensors"), whole.size() - 1);
  EXPECT_EQ(make(), true);
  EXPECT_EQ(weights(), whole);
  std::filesystem::remove(directory_.file("model/model.safetensors"));
  EXPECT_EQ(make(), true);
  EXPECT_EQ(weights(), whole);
}

TEST_F(RandomModelTest, AnotherModelIsNotWrittenOver) {
  ASSERT_EQ(make(3), true);
  const std::string before = weights();
  const auto other = [&](const Result<bool>& made) {
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, ErrorCode::already_exists);
    EXPECT_THAT(made.error().message, HasSubstr("holds another model"));
  };
  other(make(4));
  other(make(3, DType::f32));
  std::filesystem::remove(directory_.file("model/config.json"));
  other(make(4));
  EXPECT_EQ(weights(), before);
}

TEST_F(RandomModelTest, AFileInPlaceOfTheFolderIsRefused) {
  directory_.write("model", "");
  const auto made = make();
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message, HasSubstr("not a directory"));
}

TEST(WeightCount, IsTheMatricesThatTheCheckpointHas) {
  for (const bool tied : {false, true}) {
    const auto config = parse_model_config(test::tiny_config({{"tie_word_embeddings", tied}}), nullptr);
    ASSERT_TRUE(config) << config.error().message;
    std::int64_t all = 0;
    for (const auto& [name, shape] : expected_tensors(*config))
      if (shape.size() == 2) all += shape[0] * shape[1];
    const WeightCount count = count_weights(*config);
    EXPECT_EQ(count.head, std::int64_t{config->shape.vocabulary} * config->shape.hidden);
    EXPECT_EQ(count.layers, all - (tied ? 1 : 2) * count.head);
    EXPECT_EQ(count.stored, count.layers);
  }
}

TEST(WeightCount, OfExpertsOnlyThoseThatATokenTakes) {
  const auto config = parse_model_config(test::tiny_config({{"architectures", {"MixtralForCausalLM"}},
                                                            {"model_type", "mixtral"},
                                                            {"num_local_experts", 8},
                                                            {"num_experts_per_tok", 2}}),
                                         nullptr);
  ASSERT_TRUE(config) << config.error().message;
  const ModelShape& shape = config->shape;
  const WeightCount count = count_weights(*config);
  const std::int64_t expert = std::int64_t{3} * shape.hidden * shape.intermediate;
  EXPECT_EQ(count.stored - count.layers, 6 * expert * shape.layers);
}

}  // namespace
}  // namespace weft::engine
