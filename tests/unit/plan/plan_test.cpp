#include "core/plan/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <numeric>

namespace weft {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const ModelShape shape{.architecture = "LlamaForCausalLM",
                       .layers = 7,
                       .hidden = 256,
                       .query_heads = 8,
                       .kv_heads = 4,
                       .head_dim = 32,
                       .intermediate = 512,
                       .vocabulary = 2048,
                       .max_context = 1024};

Node node(const std::string& name, int cpus) {
  Node made{.name = name, .address = "10.0.0.1", .cpus = {}, .memory = 0, .devices = {}};
  made.cpus.resize(static_cast<std::size_t>(cpus));
  std::iota(made.cpus.begin(), made.cpus.end(), 0);
  return made;
}

Config config(std::int32_t data, std::int32_t tensor, std::int32_t pipeline = 1) {
  Config made;
  made.parallel.data = data;
  made.parallel.tensor = tensor;
  made.parallel.pipeline = pipeline;
  made.cluster.listen = "10.0.0.9:0";
  return made;
}

TEST(Plan, GlobalRanksCountTensorFastest) {
  const auto plan = make_plan(config(2, 2, 3), shape, {.nodes = {node("a", 12)}});
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->world_size(), 12);
  std::int32_t expected = 0;
  for (const ReplicaPlan& replica : plan->replicas)
    for (const RankPlan& rank : replica.ranks) {
      EXPECT_EQ(rank.rank, expected++);
      EXPECT_EQ(rank.rank, (rank.dp * 3 + rank.pp) * 2 + rank.tp);
    }
  EXPECT_EQ(expected, 12);
}

TEST(Plan, AHeadThatItsNodesCannotReachIsRefused) {
  const auto refusal = [](const std::string& listen, const std::string& advertise, const std::string& address) {
    Config asked = config(2, 1);
    asked.cluster.listen = listen;
    asked.cluster.advertise = advertise;
    Node here = node("here", 2);
    here.address = "127.0.0.1";
    Node there = node("there", 2);
    there.address = address;
    const auto plan = make_plan(asked, shape, {.nodes = {here, there}});
    return plan ? std::string("(taken)") : plan.error().message;
  };
  EXPECT_THAT(refusal("127.0.0.1:0", "", "10.0.0.2"),
              HasSubstr("node there (10.0.0.2): the head listens on 127.0.0.1, which is reached from this machine"));
  EXPECT_THAT(refusal("0.0.0.0:0", "", "there.example"), HasSubstr("is no address to reach the head by"));
  EXPECT_EQ(refusal("0.0.0.0:0", "10.0.0.9", "10.0.0.2"), "(taken)");
  EXPECT_EQ(refusal("127.0.0.1:0", "127.0.0.1", "10.0.0.2"), "(taken)") << "a tunnel that the user knows of";
  EXPECT_EQ(refusal("10.0.0.9:0", "", "10.0.0.2"), "(taken)");
  EXPECT_EQ(refusal("127.0.0.1:0", "", "127.0.0.1"), "(taken)");
}

TEST(Plan, CoresAreSharedOutAndNeverTwice) {
  const auto plan = make_plan(config(2, 2), shape, {.nodes = {node("a", 9)}});
  ASSERT_TRUE(plan);
  std::vector<int> used;
  for (const ReplicaPlan& replica : plan->replicas)
    for (const RankPlan& rank : replica.ranks) {
      EXPECT_EQ(rank.threads, 2);
      used.insert(used.end(), rank.cpus.begin(), rank.cpus.end());
    }
  EXPECT_THAT(used, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  EXPECT_THAT(plan->warnings, IsEmpty());
}

TEST(Plan, SharesShrinkToOneThreadAndThenWarn) {
  const auto plan = make_plan(config(4, 1), shape, {.nodes = {node("a", 2)}});
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->replicas[3].ranks[0].threads, 1);
  EXPECT_THAT(plan->replicas[3].ranks[0].cpus, IsEmpty());
  EXPECT_THAT(plan->warnings, ElementsAre(HasSubstr("oversubscribed")));
}

TEST(Plan, ThreadsBeyondTheMachineAreRefusedUnlessAllowed) {
  Config asked = config(2, 1);
  asked.parallel.threads = 3;
  const Inventory inventory{.nodes = {node("a", 4)}};
  const auto refused = make_plan(asked, shape, inventory);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(refused.error().message, HasSubstr("need 6 cores, it has 4"));
  asked.parallel.oversubscribe = true;
  EXPECT_TRUE(make_plan(asked, shape, inventory));
}

TEST(Plan, WhatCannotBeIsRefusedWithItsReason) {
  const Inventory inventory{.nodes = {node("a", 64)}};
  const auto message = [&](const Config& asked) {
    const auto plan = make_plan(asked, shape, inventory);
    return plan ? std::string("no error") : plan.error().message;
  };
  EXPECT_THAT(message(config(1, 3)), HasSubstr("does not divide the model's 8 query heads"));
  EXPECT_THAT(message(config(1, 1, 8)), HasSubstr("more than the model's 7 layers"));
  EXPECT_THAT(message(config(0, 1)), HasSubstr("parallel.data = 0"));
  ModelShape odd = shape;
  odd.query_heads = 12;
  odd.kv_heads = 4;
  const auto neither = make_plan(config(1, 6), odd, inventory);
  ASSERT_FALSE(neither);
  EXPECT_THAT(neither.error().message, HasSubstr("neither divides nor is a multiple of the model's 4 KV heads"));
  EXPECT_EQ(message(config(1, 8)), "no error");  // a multiple of the KV heads: they are replicated
  Config long_context = config(1, 1);
  long_context.model.max_context = 4096;
  EXPECT_THAT(message(long_context), HasSubstr("more than the model's own 1024"));
  EXPECT_FALSE(make_plan(config(1, 1), shape, {}));
}

TEST(Plan, DevicesBeyondTheMachineAreRefused) {
  Config asked = config(2, 1);
  asked.device.plugin = "cuda";
  Node with_gpu = node("a", 8);
  with_gpu.devices = {{.kind = "cuda", .index = 0, .memory = 0}};
  EXPECT_THAT(make_plan(asked, shape, {.nodes = {with_gpu}}).error().message,
              HasSubstr("need 2 cuda devices, it has 1"));
}

TEST(Plan, LayersAreSplitEvenly) {
  const auto plan = make_plan(config(1, 1, 3), shape, {.nodes = {node("a", 8)}});
  ASSERT_TRUE(plan);
  const auto& ranks = plan->replicas[0].ranks;
  EXPECT_EQ(ranks[0].first_layer, 0);
  EXPECT_EQ(ranks[0].last_layer, 3);
  EXPECT_EQ(ranks[1].last_layer, 5);
  EXPECT_EQ(ranks[2].last_layer, 7);
}

TEST(Plan, NodesAreFilledInProportionToTheirCores) {
  const auto plan = make_plan(config(6, 1), shape, {.nodes = {node("big", 8), node("small", 4)}});
  ASSERT_TRUE(plan);
  int big = 0;
  for (const ReplicaPlan& replica : plan->replicas)
    big += replica.ranks[0].node == "big" ? 1 : 0;
  EXPECT_EQ(big, 4);
}

TEST(Plan, AutoTakesSharedMemoryForGroupsOfOneMachine) {
  const auto plan = make_plan(config(2, 2), shape, {.nodes = {node("a", 4)}});
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->communicator, "shm");
  EXPECT_EQ(plan->control, "shm");
  EXPECT_THAT(plan->warnings, IsEmpty());
}

TEST(Plan, AutoTakesGlooForTheLeadersWhereCopiesAreOnSeveralMachines) {
  const auto plan = make_plan(config(2, 2), shape, {.nodes = {node("a", 2), node("b", 2)}});
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->communicator, "shm");
  EXPECT_EQ(plan->control, "gloo");
  EXPECT_THAT(plan->reasons, Contains("communicator.control = auto: gloo, the leaders are on a and b"));
}

TEST(Plan, AutoTakesGlooWhereACopyIsOnSeveralMachines) {
  const auto plan = make_plan(config(1, 2, 2), shape, {.nodes = {node("a", 2), node("b", 2)}});
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->communicator, "gloo");
  EXPECT_EQ(plan->control, "gloo");
  EXPECT_THAT(plan->reasons, Contains("communicator.plugin = auto: gloo, replica 0 is on a and b"));
}

TEST(Plan, AutoTakesGlooAndWarnsWhereSharedMemoryCannotBeUsed) {
  const auto plan = make_plan(config(2, 2), shape, {.nodes = {node("a", 4)}}, {.shm = "stage 'probe': no memfd"});
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->communicator, "gloo");
  EXPECT_EQ(plan->control, "gloo");
  EXPECT_THAT(plan->warnings, Contains(HasSubstr("stage 'probe': no memfd")));
}

TEST(Plan, SharedMemoryThatIsAskedForIsRefusedWhereItCannotReach) {
  Config asked = config(1, 2, 2);
  asked.communicator.plugin = "shm";
  const Inventory two{.nodes = {node("a", 2), node("b", 2)}};
  const auto refused = make_plan(asked, shape, two);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message,
              HasSubstr("communicator.plugin = shm joins ranks of one machine, but replica 0 is on a and b"));
  Config leaders = config(2, 2);
  leaders.control = "shm";
  const auto control = make_plan(leaders, shape, two);
  ASSERT_FALSE(control);
  EXPECT_THAT(control.error().message, HasSubstr("communicator.control = shm"));
}

TEST(Plan, IsPrintedForPeopleAndPrograms) {
  const auto plan = make_plan(config(2, 1), shape, {.nodes = {node("a", 4)}});
  ASSERT_TRUE(plan);
  EXPECT_THAT(plan_table(*plan), HasSubstr("communicator shm, control shm"));
  EXPECT_THAT(plan_table(*plan), HasSubstr("communicator.plugin = auto: shm, each copy's ranks are on one machine"));
  const auto json = nlohmann::json::parse(plan_json(*plan));
  EXPECT_EQ(json["communicator"], "shm");
  EXPECT_EQ(json["reasons"][0], "communicator.plugin = auto: shm, each copy's ranks are on one machine");
  EXPECT_THAT(json["replicas"], SizeIs(2));
  EXPECT_EQ(json["replicas"][1]["ranks"][0]["cpus"], nlohmann::json({2, 3}));
}

}  // namespace
}  // namespace weft
