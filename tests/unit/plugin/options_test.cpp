#include "core/plugin/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/plugin/option_value.h"
#include "core/plugin/suggest.h"

namespace weft {
namespace {

using ::testing::HasSubstr;
using Type = OptionSpec::Type;

const OptionSpec specs[] = {
    {"enabled", Type::boolean, "true", nullptr, "Whether it is on."},
    {"workers", Type::integer, "3", "1..64", "How many."},
    {"share", Type::number, "0.5", "0..1", "Which part."},
    {"order", Type::string, "\"fifo\"", "fifo|lifo", "Which one first."},
    {"grace", Type::duration, "\"5s\"", "100ms..10m", "How long to wait."},
    {"memory", Type::bytes, "\"512MiB\"", "1MiB..", "How much to keep."},
    {"nodes", Type::string_list, "[]", nullptr, "Which machines."},
    {"host", Type::string, nullptr, nullptr, "Where it is."},
};

std::vector<OptionDeclaration> declared() {
  auto declarations = check_declarations(specs);
  EXPECT_TRUE(declarations) << declarations.error().message;
  return *declarations;
}

CheckedOptions check(std::vector<UserOption> values) {
  return check_options(declared(), values, "executor.config", "weft.toml:7:1");
}

UserOption written(std::string key, OptionValue value) {
  return {.key = std::move(key), .value = std::move(value), .where = "weft.toml:8:1"};
}

TEST(PluginOptions, HoldTheDefaultsOfWhatTheUserDidNotWrite) {
  const CheckedOptions checked = check({written("host", std::string("h"))});
  ASSERT_TRUE(checked.problems.empty()) << checked.problems[0].message;
  const PluginOptions& options = checked.options;
  EXPECT_EQ(options.values.size(), std::size(specs));
  EXPECT_TRUE(options.get<bool>("enabled"));
  EXPECT_EQ(options.get<std::int64_t>("workers"), 3);
  EXPECT_EQ(options.get<double>("share"), 0.5);
  EXPECT_EQ(options.get<std::string>("order"), "fifo");
  EXPECT_EQ(options.get<std::int64_t>("grace"), 5'000'000'000);
  EXPECT_EQ(options.get<std::int64_t>("memory"), std::int64_t{512} << 20);
  EXPECT_TRUE(options.get<std::vector<std::string>>("nodes").empty());
}

TEST(PluginOptions, TakeWhatTheUserWroteWithItsUnits) {
  const CheckedOptions checked =
      check({written("host", std::string("h")), written("grace", std::string("200ms")),
             written("memory", std::string("2GB")), written("share", std::int64_t{1}), written("enabled", false),
             written("nodes", std::vector<std::string>{"a", "b"})});
  ASSERT_TRUE(checked.problems.empty()) << checked.problems[0].message;
  EXPECT_EQ(checked.options.get<std::int64_t>("grace"), 200'000'000);
  EXPECT_EQ(checked.options.get<std::int64_t>("memory"), 2'000'000'000);
  EXPECT_EQ(checked.options.get<double>("share"), 1.0);
  EXPECT_FALSE(checked.options.get<bool>("enabled"));
  EXPECT_EQ(checked.options.get<std::vector<std::string>>("nodes").size(), 2u);
}

TEST(PluginOptions, ReportAllProblemsAtOnceEachAtItsPlace) {
  const CheckedOptions checked =
      check({written("wrokers", std::int64_t{1}), written("workers", std::int64_t{65}), written("share", 1.5),
             written("order", std::string("lfio")), written("grace", std::int64_t{5}),
             written("memory", std::string("1KiB")), written("enabled", std::string("yes")), written("enabled", true)});
  ASSERT_EQ(checked.problems.size(), 9u);
  EXPECT_EQ(checked.problems[0].message, "[executor.config] unknown key 'wrokers'; did you mean 'workers'?");
  EXPECT_EQ(checked.problems[0].where, "weft.toml:8:1");
  EXPECT_EQ(checked.problems[1].message, "[executor.config] 'workers': 65 is outside 1..64");
  EXPECT_THAT(checked.problems[2].message, HasSubstr("'share': 1.5 is outside 0..1"));
  EXPECT_THAT(checked.problems[3].message, HasSubstr("\"lfio\" is none of fifo, lifo; did you mean 'lifo'?"));
  EXPECT_THAT(checked.problems[4].message, HasSubstr("'grace': 5 has no unit; write it as in \"5s\""));
  EXPECT_THAT(checked.problems[5].message, HasSubstr("'memory': \"1KiB\" is outside 1MiB.."));
  EXPECT_THAT(checked.problems[6].message, HasSubstr("'enabled': \"yes\" is not a boolean"));
  EXPECT_THAT(checked.problems[7].message, HasSubstr("'enabled' is given twice"));
  EXPECT_EQ(checked.problems[8].where, "weft.toml:7:1");
  EXPECT_THAT(checked.problems[8].message,
              HasSubstr("'host' is missing and has no default; it is a string: Where it is."));
}

TEST(PluginOptions, RefuseEveryWrongType) {
  const std::vector<OptionValue> values{true, std::int64_t{5}, 0.5, std::string("x"), std::vector<std::string>{"x"}};
  const std::vector<std::vector<int>> legal{{0}, {1}, {1, 2}, {3}, {}, {}, {4}};
  for (std::size_t type = 0; type < legal.size(); ++type) {
    OptionDeclaration option;
    option.key = "x";
    option.type = static_cast<Type>(type);
    for (std::size_t value = 0; value < values.size(); ++value) {
      const bool allowed = std::count(legal[type].begin(), legal[type].end(), static_cast<int>(value)) > 0 ||
                           (option.type == Type::bytes && value == 1);
      EXPECT_EQ(convert_option(option, values[value]).has_value(), allowed) << type << " " << value;
    }
  }
}

struct BadDeclaration {
  OptionSpec spec;
  const char* found;
};

TEST(PluginOptionDeclarations, AreRefusedWithTheReason) {
  const BadDeclaration bad[] = {
      {{nullptr, Type::integer, "1", nullptr, "Help."}, "(null)"},
      {{"Upper", Type::integer, "1", nullptr, "Help."}, "not snake_case"},
      {{"a", static_cast<Type>(99), "1", nullptr, "Help."}, "unknown type 99"},
      {{"a", Type::integer, "1", nullptr, nullptr}, "no help"},
      {{"a", Type::integer, "1", nullptr, ""}, "no help"},
      {{"a", Type::integer, "1", "9..3", "Help."}, "least is above its most"},
      {{"a", Type::integer, "1", "one..two", "Help."}, "illegal range"},
      {{"a", Type::integer, "1", "3", "Help."}, "least..most"},
      {{"a", Type::integer, "1", "", "Help."}, "it is empty"},
      {{"a", Type::boolean, "true", "true|false", "Help."}, "a boolean has none"},
      {{"a", Type::string, "\"a\"", "a||b", "Help."}, "empty"},
      {{"a", Type::duration, "\"5s\"", "1..5", "Help."}, "the unit is missing"},
      {{"a", Type::integer, "\"1\"", nullptr, "Help."}, "illegal default"},
      {{"a", Type::integer, "one", nullptr, "Help."}, "not a TOML value"},
      {{"a", Type::integer, "1\nb = 2", nullptr, "Help."}, "more than one TOML value"},
      {{"a", Type::number, "nan", nullptr, "Help."}, "not finite"},
      {{"a", Type::duration, "\"11m\"", "1s..10m", "Help."}, "outside 1s..10m"},
      {{"a", Type::string, "\"c\"", "a|b", "Help."}, "none of a, b"},
      {{"a", Type::string_list, "[\"a\", 1]", nullptr, "Help."}, "not a string"},
  };
  for (const BadDeclaration& one : bad) {
    const auto checked = check_declaration(one.spec);
    ASSERT_FALSE(checked) << one.found;
    EXPECT_EQ(checked.error().code, ErrorCode::refused);
    EXPECT_THAT(checked.error().message, HasSubstr(one.found));
  }
  const OptionSpec twice[] = {specs[0], specs[0]};
  EXPECT_THAT(check_declarations(twice).error().message, HasSubstr("declared twice"));
}

TEST(Suggest, FindsTheNearestWordWithinAThirdOfItsLength) {
  const std::vector<std::string> words{"tensor", "data", "pipeline"};
  EXPECT_EQ(nearest("tensr", words), "tensor");
  EXPECT_EQ(nearest("dtaa", words), "data");
  EXPECT_EQ(nearest("pipline", words), "pipeline");
  EXPECT_EQ(nearest("xyz", words), "");
  EXPECT_EQ(nearest("", words), "");
  EXPECT_EQ(nearest(std::string(100'000, 'a'), words), "");
  EXPECT_EQ(did_you_mean("tensr", words), "; did you mean 'tensor'?");
}

}  // namespace
}  // namespace weft
