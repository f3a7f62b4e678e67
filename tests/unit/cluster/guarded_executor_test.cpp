#include "core/cluster/guarded_executor.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/unit/cluster/fake_cluster.h"

namespace weft::test {
namespace {

// Throws whatever it is asked.
class Throwing final : public Executor, public ExecutorLogTail {
 public:
  Result<Inventory> inventory(Deadline) override { throw std::runtime_error("not today"); }
  Status launch(const GangSpec&, GangSink&) override { throw std::runtime_error("not today"); }
  Status stop(const GangId&, Duration) override { throw std::runtime_error("not today"); }
  Status close() override { throw std::runtime_error("not today"); }
  void* query(std::string_view id) override {
    if (id == interface_id) return static_cast<ExecutorLogTail*>(this);
    if (id == "none") return nullptr;
    throw std::runtime_error("not today");
  }
  Result<std::string> log_tail(const GangId&, std::int32_t, std::int32_t, Deadline) override {
    throw std::runtime_error("not today");
  }
};

struct NullSink final : GangSink {
  void on_pending(const GangId&, std::string_view) override {}
  void on_placed(const GangId&, const std::vector<Placement>&) override {}
  void on_exit(const GangId&, std::int32_t, const Exit&) override {}
};

TEST(GuardedExecutor, WhatItThrowsIsAnErrorThatNamesThePlugin) {
  Throwing throwing;
  NullSink sink;
  GuardedExecutor guarded(throwing, "executor/x");
  EXPECT_EQ(guarded.inventory(soon()).error().message, "plugin executor/x: inventory threw an exception: not today");
  EXPECT_EQ(guarded.launch({}, sink).error().message, "plugin executor/x: launch threw an exception: not today");
  EXPECT_EQ(guarded.stop({}, {}).error().message, "plugin executor/x: stop threw an exception: not today");
  EXPECT_EQ(guarded.close().error().message, "plugin executor/x: close threw an exception: not today");
  EXPECT_EQ(guarded.close().error().code, ErrorCode::internal);
  EXPECT_EQ(guarded.query("none"), nullptr);
  EXPECT_EQ(guarded.query("any"), nullptr);
  auto* tails = static_cast<ExecutorLogTail*>(guarded.query(ExecutorLogTail::interface_id));
  ASSERT_NE(tails, nullptr);
  EXPECT_EQ(tails->log_tail({}, 0, 1, soon()).error().message,
            "plugin executor/x: log_tail threw an exception: not today");
}

TEST(GuardedExecutor, WhatItAnswersComesThrough) {
  MockExecutor mock;
  mock.refuse = Error{ErrorCode::unavailable, "full"};
  NullSink sink;
  GuardedExecutor guarded(mock, "executor/x");
  EXPECT_TRUE(guarded.inventory(soon()));
  EXPECT_EQ(guarded.launch({}, sink).error().message, "full");
  EXPECT_EQ(guarded.query(ExecutorLogTail::interface_id), nullptr);
  EXPECT_TRUE(guarded.close());
}

}  // namespace
}  // namespace weft::test
