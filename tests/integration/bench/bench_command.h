// `weft bench ...`: the built program in a directory of its own, which is also its state and cache folder.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/integration/run/child.h"
#include "tests/support/sanitized.h"
#include "tests/support/temporary_directory.h"

namespace weft::test {

using Json = nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int repetitions = sanitized ? 1 : 2;
constexpr const char* bundled_model = WEFT_SOURCE_DIR "/models/weft-tiny";

struct Ended {
  int code = -1;
  std::string out;
  std::string err;
};

class BenchTest : public ::testing::Test {
 protected:
  Child start(const std::vector<std::string>& arguments) const;
  Ended run(const std::vector<std::string>& arguments) const;
  // The arguments of `weft bench WHAT` on the bundled model, with one thread a rank and little memory; and the report of so
  // many repetitions of it, which go well.
  std::vector<std::string> of_tiny(const std::string& what, const std::vector<std::string>& more) const;
  Json report(const std::string& what, const std::vector<std::string>& more);

  TemporaryDirectory directory_;
};

// Present, positive and in order.
void expect_spread(const Json& spread, const std::string& what);
// Equal but for rounding.
void expect_close(double found, double expected, const std::string& what);

}  // namespace weft::test
