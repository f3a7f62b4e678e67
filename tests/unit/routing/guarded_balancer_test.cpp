#include "core/routing/guarded_balancer.h"

#include <gtest/gtest.h>

#include <functional>
#include <stdexcept>
#include <vector>

namespace weft {
namespace {

// Does what the test says.
class Scripted final : public LoadBalancer {
 public:
  Result<Decision> pick(const RequestView&, const ReplicaTable& table, Time) override {
    if (in_pick) in_pick();
    return Decision{.replica = table.replicas.front().id, .reason = "the first"};
  }
  void observe(const Event&, Time) override {
    ++observed;
    if (in_observe) in_observe();
  }
  void* query(std::string_view) override { return this; }

  std::function<void()> in_pick;
  std::function<void()> in_observe;
  int observed = 0;
};

class Guarded : public testing::Test {
 protected:
  Result<Decision> pick() { return guarded_.pick({}, {.replicas = rows_}, Clock::now()); }
  const std::vector<ReplicaView> rows_ = {{.id = 4, .eligible = true}};
  Scripted balancer_;
  GuardedBalancer guarded_{balancer_, "load_balancer/x"};
};

TEST_F(Guarded, WhatPickThrowsIsAnErrorThatNamesThePlugin) {
  balancer_.in_pick = [] { throw std::runtime_error("no table"); };
  const auto thrown = pick();
  ASSERT_FALSE(thrown);
  EXPECT_EQ(thrown.error().code, ErrorCode::internal);
  EXPECT_FALSE(thrown.error().retryable);
  EXPECT_EQ(thrown.error().message, "plugin load_balancer/x: pick threw an exception: no table");
  balancer_.in_pick = [] { throw 7; };
  EXPECT_EQ(pick().error().message, "plugin load_balancer/x: pick threw an exception: of unknown type");
  balancer_.in_pick = nullptr;
  EXPECT_EQ(pick().value().replica, 4);
}

TEST_F(Guarded, WhatObserveThrowsIsToldOnceAndTheNextEventComesAllTheSame) {
  balancer_.in_observe = [] { throw std::runtime_error("no such event"); };
  testing::internal::CaptureStderr();
  guarded_.observe({}, Clock::now());
  guarded_.observe({}, Clock::now());
  const std::string told = testing::internal::GetCapturedStderr();
  const std::string line = "plugin load_balancer/x: observe threw an exception: no such event";
  EXPECT_NE(told.find(line), std::string::npos) << told;
  EXPECT_EQ(told.find(line), told.rfind(line)) << told;
  EXPECT_EQ(balancer_.observed, 2);
}

TEST_F(Guarded, AnInterfaceIsAskedOfThePluginItself) { EXPECT_EQ(guarded_.query("any"), &balancer_); }

}  // namespace
}  // namespace weft
