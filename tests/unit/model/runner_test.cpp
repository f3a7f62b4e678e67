#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "engine/model/model_runner.h"
#include "kernels/cpu/cpu_device.h"
#include "kernels/reference/reference_device.h"
#include "tests/support/thread_replica.h"
#include "tests/unit/model/tiny_model.h"

namespace weft::engine {
namespace {

using test::TemporaryDirectory;
using test::ThreadReplica;
using test::tiny_config;

class Runner : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(write_tiny_model(directory_, tiny_config()));
    auto device = make_reference_device();
    ASSERT_TRUE(device);
    device_ = std::move(*device);
    spec_ = {.model_directory = directory_.path(),
             .device = device_.get(),
             .block_size = 4,
             .max_batch_tokens = 8,
             .max_requests = 2};
  }

  std::unique_ptr<ModelRunner> load() {
    auto runner = ModelRunner::load(spec_);
    EXPECT_TRUE(runner) << runner.error().message;
    return runner ? std::move(*runner) : nullptr;
  }

  TemporaryDirectory directory_;
  std::unique_ptr<Device> device_;
  RunnerSpec spec_;
};

SequenceStep sequence(std::int32_t start, std::vector<TokenId> tokens, std::vector<std::int32_t> blocks) {
  SequenceStep step;
  step.request = 9;
  step.start = start;
  step.tokens = std::move(tokens);
  step.blocks = std::move(blocks);
  step.sample = true;
  return step;
}

TEST_F(Runner, RefusesPlansOutsideItsLimitsAndGoesOn) {
  const auto runner = load();
  ASSERT_TRUE(runner->create_cache(3));
  const SequenceStep good = sequence(0, {1, 2, 3}, {2});
  const auto message = [&](const std::function<void(StepPlan&)>& change) {
    StepPlan plan{.step = 1, .sequences = {good}};
    change(plan);
    const auto result = runner->forward(plan);
    EXPECT_FALSE(result);
    return result ? std::string() : result.error().message;
  };
  EXPECT_EQ(message([](StepPlan& plan) { plan.sequences[0].tail = SampledRef{.step = 4, .slot = 0}; }),
            "model: plan: request 9 names a token that step 4 sampled; this version takes ids only");
  EXPECT_EQ(message([](StepPlan& plan) { plan.sequences[0].tokens.clear(); }), "model: plan: request 9: no rows");
  EXPECT_EQ(message([](StepPlan& plan) { plan.sequences[0].start = -1; }),
            "model: plan: request 9: positions [-1, 2), the context holds 64");
  EXPECT_EQ(message([](StepPlan& plan) { plan.sequences[0].start = 62; }),
            "model: plan: request 9: positions [62, 65), the context holds 64");
  EXPECT_EQ(message([](StepPlan& plan) { plan.sequences[0].start = 2; }),
            "model: plan: request 9: 1 blocks for 5 tokens, 2 are needed");
  EXPECT_EQ(message([](StepPlan& plan) { plan.sequences[0].blocks = {3}; }),
            "model: plan: request 9: block 3, the cache has 3");
  EXPECT_EQ(message([](StepPlan& plan) { plan.sequences[0].tokens = {31}; }),
            "model: plan: request 9: token id 31, the vocabulary has 31");
  EXPECT_EQ(message([](StepPlan& plan) { plan.sequences[0].tokens = {-1}; }),
            "model: plan: request 9: token id -1, the vocabulary has 31");
  EXPECT_EQ(message([&](StepPlan& plan) { plan.sequences.assign(3, good); }),
            "model: plan: 3 sequences, at most 2 fit a step");
  EXPECT_EQ(message([](StepPlan& plan) {
              plan.sequences[0].tokens.assign(9, 1);
              plan.sequences[0].blocks = {0, 1, 2};
            }),
            "model: plan: 9 rows, at most 8 fit a step");
  const auto logits = runner->forward({.step = 2, .sequences = {good}});
  ASSERT_TRUE(logits) << logits.error().message;
  EXPECT_EQ(logits->samples, 1);
  EXPECT_EQ(logits->vocabulary, 31);
  EXPECT_GT(runner->last_step().seconds, 0);
  EXPECT_EQ(runner->last_step().collective_seconds, 0);
}

TEST_F(Runner, AnEmptyPlanAndOneWithoutSamplesGiveNoLogits) {
  const auto runner = load();
  ASSERT_TRUE(runner->create_cache(3));
  const auto empty = runner->forward({});
  ASSERT_TRUE(empty);
  EXPECT_EQ(empty->samples, 0);
  SequenceStep silent = sequence(0, {1, 2}, {0});
  silent.sample = false;
  const auto none = runner->forward({.step = 1, .sequences = {silent}});
  ASSERT_TRUE(none);
  EXPECT_EQ(none->samples, 0);
}

TEST_F(Runner, NeedsItsCacheAndTakesItOnce) {
  const auto runner = load();
  EXPECT_EQ(runner->forward({}).error().code, ErrorCode::failed_precondition);
  EXPECT_EQ(runner->create_cache(0).error().code, ErrorCode::invalid_argument);
  ASSERT_TRUE(runner->create_cache(5));
  EXPECT_EQ(runner->create_cache(5).error().code, ErrorCode::failed_precondition);
  EXPECT_EQ(runner->memory().cache, 5 * runner->kv_block_bytes());
}

TEST_F(Runner, MemoryIsWhatWasEstimatedWithoutLoading) {
  const std::vector<nlohmann::json> variants = {
      nlohmann::json::object(),
      {{"attention_bias", true}, {"mlp_bias", true}, {"tie_word_embeddings", true}},
      {{"architectures", {"Qwen3ForCausalLM"}}},
      {{"architectures", {"Olmo2ForCausalLM"}}},
      {{"architectures", {"MixtralForCausalLM"}}, {"num_local_experts", 4}},
      {{"architectures", {"GraniteMoeForCausalLM"}}, {"residual_multiplier", 0.5}, {"attention_bias", true}},
      {{"architectures", {"Qwen3MoeForCausalLM"}},
       {"num_experts", 4},
       {"num_experts_per_tok", 2},
       {"moe_intermediate_size", 7},
       {"decoder_sparse_step", 2}},
  };
  for (const nlohmann::json& changes : variants) {
    ASSERT_NO_FATAL_FAILURE(write_tiny_model(directory_, tiny_config(changes)));
    const auto replica = ThreadReplica::load({.model_directory = directory_.path(),
                                              .make_device = make_reference_device,
                                              .tensor = 3,
                                              .pipeline = 2,
                                              .runner = spec_});
    ASSERT_TRUE(replica) << replica.error().message;
    for (std::int32_t rank = 0; rank < 6; ++rank) {
      ModelRunner& runner = (*replica)->runner(static_cast<std::size_t>(rank));
      RunnerSpec spec = spec_;
      spec.position = {.tp_rank = rank % 3, .tp_size = 3, .pp_rank = rank / 3, .pp_size = 2};
      const auto estimate = estimate_memory(runner.config(), spec, runner.kv_block_bytes());
      ASSERT_TRUE(estimate) << estimate.error().message;
      EXPECT_EQ(runner.memory().weights, estimate->weights) << rank << changes;
      EXPECT_EQ(runner.memory().workspace, estimate->workspace) << rank;
      EXPECT_EQ(static_cast<Bytes>(runner.kv_blocks()) * runner.kv_block_bytes(), estimate->cache) << rank;
    }
  }
}

TEST_F(Runner, CountsBlocksAsItsDeviceDoes) {
  // Heads of 8 elements are padded to a vector by one device and not by the other.
  using MakeDevice = std::function<Result<std::unique_ptr<Device>>()>;
  for (const MakeDevice& make :
       {MakeDevice(make_reference_device), MakeDevice([] { return make_cpu_device({.threads = 1}); })}) {
    const auto device = make();
    ASSERT_TRUE(device) << device.error().message;
    spec_.device = device->get();
    spec_.kv_memory.reset();
    const Bytes block = load()->kv_block_bytes();
    spec_.kv_memory = 3 * block - 1;
    EXPECT_EQ(load()->kv_blocks(), 2);
    EXPECT_EQ(estimate_memory(load()->config(), spec_, block)->cache, 2 * block);
    spec_.kv_memory = Bytes{1} << 40;
    EXPECT_EQ(load()->kv_blocks(), 64 / spec_.block_size * spec_.max_requests) << "no more than requests can fill";
    spec_.kv_memory = block - 1;
    const auto refused = ModelRunner::load(spec_);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::resource_exhausted);
    EXPECT_EQ(refused.error().message,
              fmt::format("engine.kv_memory gives a rank {} bytes, a block of {} tokens takes {}; give it more",
                          block - 1, spec_.block_size, block));
  }
}

TEST_F(Runner, TakesNoMemoryForAContextThatItsCacheCannotHold) {
  const Bytes block = load()->kv_block_bytes();
  spec_.kv_memory = 3 * block;  // 12 tokens
  const auto small = load();
  ASSERT_NO_FATAL_FAILURE(write_tiny_model(directory_, tiny_config({{"max_position_embeddings", 1 << 27}})));
  const auto runner = load();
  EXPECT_EQ(runner->max_context(), 1 << 27);
  EXPECT_EQ(runner->memory().weights, small->memory().weights);
  EXPECT_EQ(runner->memory().workspace, small->memory().workspace);
  const auto estimate = estimate_memory(runner->config(), spec_, block);
  ASSERT_TRUE(estimate) << estimate.error().message;
  EXPECT_EQ(runner->memory().weights, estimate->weights);
  EXPECT_EQ(runner->memory().workspace, estimate->workspace);
  EXPECT_EQ(estimate->positions, 12);
  ASSERT_TRUE(runner->create_cache(runner->kv_blocks()));
  EXPECT_TRUE(runner->forward({.step = 0, .sequences = {sequence(0, {1, 2, 3, 4, 5, 6, 7, 8}, {0, 1})}}));
  EXPECT_TRUE(runner->forward({.step = 1, .sequences = {sequence(8, {1, 2, 3, 4}, {0, 1, 2})}}));
  EXPECT_FALSE(runner->forward({.step = 2, .sequences = {sequence(12, {1}, {0, 1, 2, 2})}}));
}

TEST_F(Runner, WeightHashesAreEqualByPositionAndDifferByWeights) {
  const auto hashes = [&] {
    const auto replica = ThreadReplica::load(
        {.model_directory = directory_.path(), .make_device = make_reference_device, .tensor = 3, .runner = spec_});
    EXPECT_TRUE(replica) << replica.error().message;
    std::vector<WeightHash> all;
    for (std::size_t rank = 0; replica && rank < 3; ++rank)
      all.push_back((*replica)->runner(rank).weight_hash());
    return all;
  };
  const auto first = hashes();
  EXPECT_EQ(first, hashes());
  EXPECT_NE(first[0], first[1]);
  ASSERT_NO_FATAL_FAILURE(write_tiny_model(directory_, tiny_config(), 2));
  EXPECT_NE(first[0], hashes()[0]);
}

TEST_F(Runner, RefusesSpecsThatCannotBe) {
  const auto message = [&](const std::function<void(RunnerSpec&)>& change) {
    RunnerSpec spec = spec_;
    change(spec);
    const auto runner = ModelRunner::load(spec);
    EXPECT_FALSE(runner);
    return runner ? std::string() : runner.error().message;
  };
  EXPECT_EQ(message([](RunnerSpec& spec) { spec.device = nullptr; }), "model: no device");
  EXPECT_EQ(message([](RunnerSpec& spec) { spec.position.tp_size = 2; }),
            "model: the tensor group is missing, expected rank 0 of 2");
  EXPECT_EQ(message([](RunnerSpec& spec) { spec.max_context = 65; }),
            "model: max_context is 65, expected from 1 to 64, the model's own (max_position_embeddings)");
  EXPECT_EQ(message([](RunnerSpec& spec) { spec.max_requests = 0; }),
            "model: max_requests is 0, expected from 1 to 1048576");
  EXPECT_NE(message([](RunnerSpec& spec) { spec.dtype = DType::i32; }).find("dtype i32 is not one the device computes"),
            std::string::npos);
}

TEST_F(Runner, ASmallerContextIsServedAndItsEndIsRefused) {
  spec_.max_context = 6;
  const auto runner = load();
  EXPECT_EQ(runner->max_context(), 6);
  ASSERT_TRUE(runner->create_cache(2));
  EXPECT_TRUE(runner->forward({.step = 0, .sequences = {sequence(0, {1, 2, 3, 4, 5, 6}, {0, 1})}}));
  EXPECT_FALSE(runner->forward({.step = 1, .sequences = {sequence(6, {7}, {0, 1})}}));
}

// What a rank says when a peer dies in a step: an error in bounded time, never a wrong answer.
TEST_F(Runner, ABrokenGroupEndsTheStepWithItsError) {
  test::ThreadCommunicator communicator;
  const auto open = [&](std::int32_t rank) {
    return communicator.open({.id = "tp", .rank = rank, .size = 3, .operation_timeout = std::chrono::seconds(20)});
  };
  auto mine = open(0), other = open(1);
  ASSERT_TRUE(mine && other);
  spec_.position.tp_size = 3;
  spec_.tensor_group = mine->get();
  const auto runner = load();
  ASSERT_TRUE(runner->create_cache(2));
  (*other)->abort({ErrorCode::aborted, "rank 1 is gone", false});
  const auto result = runner->forward({.step = 0, .sequences = {sequence(0, {1}, {0})}});
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("rank 1 is gone"), std::string::npos) << result.error().message;
}

}  // namespace
}  // namespace weft::engine
