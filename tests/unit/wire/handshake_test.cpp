#include "core/wire/handshake.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/wire/log_limiter.h"

namespace weft::wire {
namespace {

using testing::HasSubstr;

Envelope good_open() {
  DialOptions options;
  options.token = "secret";
  options.rank = 2;
  return make_open(options);
}

TEST(Handshake, ComparesTokens) {
  EXPECT_TRUE(same_token("secret", "secret"));
  EXPECT_FALSE(same_token("secret", "secreT"));
  EXPECT_FALSE(same_token("secret", "secre"));
  EXPECT_FALSE(same_token("", "secret"));
}

TEST(Handshake, AgreesOnTheNewestVersionThatBothSpeak) {
  EXPECT_EQ(negotiate(wire_version_min, wire_version).value(), wire_version);
  EXPECT_EQ(negotiate(0, wire_version + 9).value(), wire_version);
}

TEST(Handshake, RefusesVersionsThatDoNotMeetAndNamesBothRanges) {
  const auto newer = negotiate(wire_version + 1, wire_version + 3);
  ASSERT_FALSE(newer);
  EXPECT_EQ(newer.error().code, ErrorCode::refused);
  EXPECT_THAT(newer.error().message, HasSubstr("versions 2 to 4 do not meet ours, 1 to 1"));
  EXPECT_FALSE(negotiate(0, 0));
  EXPECT_FALSE(negotiate(wire_version, wire_version - 1)) << "an empty range";
}

TEST(Handshake, LooksAtTheTokenFirst) {
  Envelope open = good_open();
  open.mutable_open()->set_token("guess");
  open.mutable_open()->set_wire_version(99);
  open.mutable_open()->set_wire_version_min(99);
  EXPECT_EQ(check_open(open, "secret").error().code, ErrorCode::permission_denied);
}

TEST(Handshake, RefusesAnOpenThatCannotBe) {
  EXPECT_TRUE(check_open(good_open(), "secret"));
  const auto code_of = [](void (*change)(Envelope&)) {
    Envelope open = good_open();
    change(open);
    const auto checked = check_open(open, "secret");
    return checked ? ErrorCode::internal : checked.error().code;
  };
  EXPECT_EQ(code_of([](Envelope& e) { e.mutable_open()->set_role(ROLE_UNKNOWN); }), ErrorCode::invalid_argument);
  EXPECT_EQ(code_of([](Envelope& e) { e.mutable_open()->set_role(static_cast<Role>(77)); }),
            ErrorCode::invalid_argument);
  EXPECT_EQ(code_of([](Envelope& e) { e.mutable_open()->set_rank(-2); }), ErrorCode::invalid_argument);
  EXPECT_EQ(code_of([](Envelope& e) { e.mutable_open()->set_rank(1 << 30); }), ErrorCode::invalid_argument);
  EXPECT_EQ(code_of([](Envelope& e) { e.set_incarnation(-1); }), ErrorCode::invalid_argument);
  EXPECT_EQ(code_of([](Envelope& e) { e.set_credit(0); }), ErrorCode::invalid_argument);
  EXPECT_EQ(code_of([](Envelope& e) { e.set_link_epoch(5); }), ErrorCode::invalid_argument);
}

TEST(LogLimiter, LetsABurstThroughAndCountsTheRest) {
  std::vector<std::string> lines;
  LogLimiter limiter([&](std::string line) { lines.push_back(std::move(line)); });
  const Time start{std::chrono::hours(1)};
  for (int i = 0; i < 50; ++i)
    limiter.write("line", start);
  EXPECT_EQ(lines.size(), 20u);
  limiter.write("later", start + std::chrono::seconds(1));
  EXPECT_EQ(lines.back(), "later (30 lines like it were left out)");
}

}  // namespace
}  // namespace weft::wire
