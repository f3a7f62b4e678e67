#include "core/plugin/plugin_calls.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>

namespace weft {
namespace {

const PluginCalls calls("device/x", std::chrono::seconds(3));

TEST(PluginCalls, WhatACallThrowsIsAnErrorThatNamesThePlugin) {
  const auto thrown = calls.make("copy", []() -> Result<int> { throw std::runtime_error("no memory"); });
  ASSERT_FALSE(thrown);
  EXPECT_EQ(thrown.error().code, ErrorCode::internal);
  EXPECT_FALSE(thrown.error().retryable);
  EXPECT_EQ(thrown.error().message, "plugin device/x: copy threw an exception: no memory");
  EXPECT_EQ(calls.make("copy", []() -> Status { throw 7; }).error().message,
            "plugin device/x: copy threw an exception: of unknown type");
}

TEST(PluginCalls, WhatACallReturnsComesBack) {
  EXPECT_EQ(calls.make("copy", []() -> Result<int> { return 7; }).value(), 7);
  EXPECT_EQ(calls.make("copy", []() -> Status { return fail(ErrorCode::cancelled, "why"); }).error().message, "why");
}

TEST(PluginCalls, AnyThreadSeesThoseThatHaveNotComeBackTheOldestFirst) {
  EXPECT_TRUE(running_plugin_calls().empty());
  const Time before = Clock::now();
  std::vector<PluginCall> seen;
  (void)calls.make("copy", [&]() -> Status {
    return calls.make("fill", [&]() -> Status {
      std::thread([&] { seen = running_plugin_calls(); }).join();
      throw 7;
    });
  });
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0].plugin, "device/x");
  EXPECT_EQ(seen[0].function, "copy");
  EXPECT_EQ(seen[1].function, "fill");
  EXPECT_EQ(seen[0].limit, std::chrono::seconds(3));
  EXPECT_GE(seen[0].since, before);
  EXPECT_GE(seen[1].since, seen[0].since);
  EXPECT_TRUE(running_plugin_calls().empty());
}

}  // namespace
}  // namespace weft
