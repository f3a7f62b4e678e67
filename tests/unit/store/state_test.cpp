#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/store/store.h"
#include "core/wire/convert.h"

namespace weft::store {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using Kind = wire::StoreRequest;
using std::chrono::milliseconds;

constexpr Time start{};

wire::StoreRequest request(Kind::Kind kind, std::vector<std::string> keys, std::string value = {}) {
  wire::StoreRequest out;
  out.set_id(7);
  out.set_kind(kind);
  for (std::string& key : keys)
    out.add_keys(std::move(key));
  out.set_value(std::move(value));
  return out;
}

wire::StoreRequest wait_for(std::vector<std::string> keys, std::int64_t timeout_ms) {
  auto out = request(Kind::WAIT, std::move(keys));
  out.set_timeout_ms(timeout_ms);
  return out;
}

// A state and the replies to what was asked of it.
struct Asked {
  StoreState state;

  explicit Asked(StoreLimits limits = {}) : state(limits) {}

  std::optional<wire::StoreReply> ask(const wire::StoreRequest& what, std::uint64_t source = 1, Time now = start) {
    auto reply = std::make_shared<std::optional<wire::StoreReply>>();
    state.apply(what, source, now, [reply](wire::StoreReply answer) { *reply = std::move(answer); });
    return *reply;
  }
  // The place where the reply will be.
  std::shared_ptr<std::optional<wire::StoreReply>> ask_later(const wire::StoreRequest& what, std::uint64_t source = 1,
                                                             Time now = start) {
    auto reply = std::make_shared<std::optional<wire::StoreReply>>();
    state.apply(what, source, now, [reply](wire::StoreReply answer) {
      EXPECT_FALSE(reply->has_value()) << "two replies to one request";
      *reply = std::move(answer);
    });
    return reply;
  }
  bool set(const std::string& key, const std::string& value) {
    return !ask(request(Kind::SET, {key}, value))->has_error();
  }
  Error error_of(const wire::StoreRequest& what) {
    const auto reply = ask(what);
    if (!reply || !reply->has_error())
      return Error{.code = ErrorCode::internal, .message = "no error", .retryable = false};
    return wire::from_wire(reply->error());
  }
};

TEST(Store, GivesBackTheBytesThatWereSet) {
  Asked asked;
  const std::string bytes("a\0b\xff", 4);
  EXPECT_TRUE(asked.set("k", bytes));
  const auto reply = asked.ask(request(Kind::GET, {"k"}));
  EXPECT_EQ(reply->id(), 7u);
  EXPECT_THAT(reply->values(), ElementsAre(bytes));
}

TEST(Store, SaysThatAnAbsentKeyIsNotFound) {
  Asked asked;
  const Error error = asked.error_of(request(Kind::GET, {"who"}));
  EXPECT_EQ(error.code, ErrorCode::not_found);
  EXPECT_THAT(error.message, HasSubstr("'who'"));
}

TEST(Store, AddsFromZeroAndRefusesWhatIsNoNumberOrOverflows) {
  Asked asked;
  auto add = request(Kind::ADD, {"n"});
  add.set_delta(5);
  EXPECT_EQ(asked.ask(add)->number(), 5);
  add.set_delta(-7);
  EXPECT_EQ(asked.ask(add)->number(), -2);
  asked.set("n", "9223372036854775807");
  add.set_delta(1);
  EXPECT_EQ(asked.error_of(add).code, ErrorCode::invalid_argument);
  asked.set("n", "12x");
  EXPECT_THAT(asked.error_of(add).message, HasSubstr("'12x'"));
}

TEST(Store, ComparesAndSets) {
  Asked asked;
  auto swap = request(Kind::COMPARE_AND_SET, {"k"}, "one");
  EXPECT_THAT(asked.ask(swap)->values(), ElementsAre("one"));
  EXPECT_THAT(asked.ask(request(Kind::COMPARE_AND_SET, {"k"}, "two"))->values(), ElementsAre("one")) << "it exists";
  swap = request(Kind::COMPARE_AND_SET, {"k"}, "three");
  swap.set_expected("two");
  EXPECT_THAT(asked.ask(swap)->values(), ElementsAre("one"));
  swap.set_expected("one");
  EXPECT_THAT(asked.ask(swap)->values(), ElementsAre("three"));
  auto absent = request(Kind::COMPARE_AND_SET, {"none"}, "x");
  absent.set_expected("y");
  EXPECT_EQ(asked.error_of(absent).code, ErrorCode::not_found);
}

TEST(Store, RemovesKeysAndPrefixesAndListsThemSorted) {
  Asked asked;
  for (const char* key : {"g/1/b", "g/1/a", "g/10/a", "h"})
    asked.set(key, "v");
  EXPECT_THAT(asked.ask(request(Kind::LIST, {"g/1/"}))->values(), ElementsAre("g/1/a", "g/1/b"));
  EXPECT_THAT(asked.ask(request(Kind::LIST, {""}))->values(), ElementsAre("g/1/a", "g/1/b", "g/10/a", "h"));
  EXPECT_EQ(asked.ask(request(Kind::REMOVE, {"h"}))->number(), 1);
  EXPECT_EQ(asked.ask(request(Kind::REMOVE, {"h"}))->number(), 0);
  EXPECT_EQ(asked.ask(request(Kind::REMOVE_PREFIX, {"g/1/"}))->number(), 2);
  EXPECT_EQ(asked.state.size(), 1u);
  EXPECT_EQ(asked.error_of(request(Kind::REMOVE_PREFIX, {""})).code, ErrorCode::invalid_argument);
}

TEST(Store, AnswersAWaitAtOnceWhereAllIsThere) {
  Asked asked;
  asked.set("a", "1");
  asked.set("b", "2");
  EXPECT_THAT(asked.ask(wait_for({"b", "a"}, 0))->values(), ElementsAre("2", "1"));
}

TEST(Store, WakesAWaitWhenItsLastKeyComes) {
  Asked asked;
  const auto reply = asked.ask_later(wait_for({"a", "b", "c"}, 1000));
  asked.set("c", "3");
  asked.set("a", "1");
  EXPECT_FALSE(*reply);
  asked.set("b", "2");
  ASSERT_TRUE(*reply);
  EXPECT_THAT((*reply)->values(), ElementsAre("1", "2", "3"));
  EXPECT_EQ(asked.state.next_deadline(), Time::max());
}

TEST(Store, AWaitSeesAllItsKeysAtOneTime) {
  Asked asked;
  const auto reply = asked.ask_later(wait_for({"a", "b"}, 1000));
  asked.set("a", "1");
  asked.ask(request(Kind::REMOVE, {"a"}));
  asked.set("b", "2");
  EXPECT_FALSE(*reply) << "'a' has gone again";
  asked.set("a", "3");
  ASSERT_TRUE(*reply);
  EXPECT_THAT((*reply)->values(), ElementsAre("3", "2"));
}

TEST(Store, WaitFailsAtItsDeadlineAndNamesTheKeys) {
  Asked asked;
  asked.set("rank/1", "x");
  const auto late = asked.ask_later(wait_for({"rank/0", "rank/1", "rank/2"}, 50));
  const auto later = asked.ask_later(wait_for({"rank/3"}, 51));
  EXPECT_EQ(asked.state.next_deadline(), start + milliseconds(50));
  asked.state.expire(start + milliseconds(49));
  EXPECT_FALSE(*late);
  asked.state.expire(start + milliseconds(50));
  ASSERT_TRUE(*late);
  EXPECT_FALSE(*later);
  const Error error = wire::from_wire((*late)->error());
  EXPECT_EQ(error.code, ErrorCode::deadline_exceeded);
  EXPECT_THAT(error.message, HasSubstr("'rank/0', 'rank/2'"));
  EXPECT_THAT(error.message, Not(HasSubstr("'rank/1'")));
  asked.set("rank/0", "x");
}

TEST(Store, AWaitWithoutTimeDoesNotWait) {
  Asked asked;
  EXPECT_EQ(asked.error_of(wait_for({"a"}, 0)).code, ErrorCode::deadline_exceeded);
  EXPECT_EQ(asked.error_of(wait_for({"a"}, -5)).code, ErrorCode::deadline_exceeded);
}

TEST(Store, AnAbsurdTimeoutIsForever) {
  Asked asked;
  const auto reply = asked.ask_later(wait_for({"a"}, std::numeric_limits<std::int64_t>::max()));
  EXPECT_EQ(asked.state.next_deadline(), Time::max());
  asked.set("a", "1");
  EXPECT_TRUE(*reply);
}

TEST(Store, ForgetsTheWaitsOfASourceThatHasGone) {
  Asked asked;
  const auto gone = asked.ask_later(wait_for({"a"}, 10), 1);
  const auto stays = asked.ask_later(wait_for({"a"}, 20), 2);
  asked.state.forget(1);
  EXPECT_EQ(asked.state.next_deadline(), start + milliseconds(20));
  asked.set("a", "1");
  EXPECT_FALSE(*gone);
  EXPECT_TRUE(*stays);
}

TEST(Store, RetiringAPrefixRemovesItsKeysAndAbortsItsWaits) {
  Asked asked;
  asked.set("group/tp/1/addr", "x");
  asked.set("group/tp/2/addr", "y");
  const auto inside = asked.ask_later(wait_for({"elsewhere", "group/tp/1/ready"}, 10));
  const auto outside = asked.ask_later(wait_for({"group/tp/2/ready"}, 10));
  asked.state.retire("group/tp/1/", "rank 3 exited");
  ASSERT_TRUE(*inside);
  EXPECT_FALSE(*outside);
  const Error error = wire::from_wire((*inside)->error());
  EXPECT_EQ(error.code, ErrorCode::aborted);
  EXPECT_THAT(error.message, HasSubstr("rank 3 exited"));
  EXPECT_THAT(asked.ask(request(Kind::LIST, {"group/"}))->values(), ElementsAre("group/tp/2/addr"));
}

TEST(Store, WhatIsRetiredDoesNotComeBack) {
  Asked asked;
  asked.state.retire("group/tp/1/", "old");
  asked.state.retire("group/tp/10/", "older");
  EXPECT_EQ(asked.error_of(request(Kind::SET, {"group/tp/1/addr"}, "x")).code, ErrorCode::aborted);
  EXPECT_EQ(asked.error_of(request(Kind::ADD, {"group/tp/10/n"})).code, ErrorCode::aborted);
  EXPECT_EQ(asked.error_of(wait_for({"group/tp/1/addr"}, 10)).code, ErrorCode::aborted);
  EXPECT_TRUE(asked.set("group/tp/11/addr", "x"));
  EXPECT_TRUE(asked.set("group/tp/1", "x"));
  asked.state.retire("group/", "all of them");
  EXPECT_EQ(asked.error_of(request(Kind::SET, {"group/tp/1/addr"}, "x")).code, ErrorCode::aborted);
  EXPECT_EQ(asked.error_of(request(Kind::SET, {"group/x"}, "x")).code, ErrorCode::aborted);
  asked.state.retire("", "a mistake");
  EXPECT_TRUE(asked.set("h", "x"));
}

TEST(Store, KeepsItsLimitsAndSaysWhichOne) {
  Asked asked(StoreLimits{.key_bytes = 8,
                          .value_bytes = 16,
                          .keys = 3,
                          .total_bytes = 40,
                          .waits = 2,
                          .wait_bytes = 10,
                          .reply_bytes = 20});
  EXPECT_THAT(asked.error_of(request(Kind::SET, {"123456789"})).message, HasSubstr("9 bytes, expected at most 8"));
  EXPECT_THAT(asked.error_of(request(Kind::SET, {"k"}, std::string(17, 'x'))).message, HasSubstr("17 bytes"));
  EXPECT_TRUE(asked.set("a", std::string(16, 'x')));
  EXPECT_TRUE(asked.set("b", std::string(16, 'x')));
  EXPECT_EQ(asked.error_of(request(Kind::SET, {"c"}, "123456")).code, ErrorCode::resource_exhausted);
  EXPECT_TRUE(asked.set("c", "1"));
  EXPECT_THAT(asked.error_of(request(Kind::SET, {"d"}, "1")).message, HasSubstr("3 keys, its limit"));
  EXPECT_TRUE(asked.set("a", "12")) << "a smaller value makes room";
  EXPECT_TRUE(asked.set("c", "123456"));
  EXPECT_EQ(asked.error_of(wait_for({"a", "b", "c"}, 10)).code, ErrorCode::resource_exhausted) << "24 bytes";
  const auto first = asked.ask_later(wait_for({"x"}, 10));
  const auto second = asked.ask_later(wait_for({"y"}, 10));
  EXPECT_EQ(asked.error_of(wait_for({"z"}, 10)).code, ErrorCode::resource_exhausted);
  asked.state.expire(Time::max());
  EXPECT_EQ(asked.error_of(wait_for({"12345678", "123"}, 10)).code, ErrorCode::resource_exhausted);
}

TEST(Store, RefusesKeysAndRequestsThatAreNone) {
  Asked asked;
  EXPECT_EQ(asked.error_of(request(Kind::SET, {""})).code, ErrorCode::invalid_argument);
  EXPECT_THAT(asked.error_of(request(Kind::SET, {"a\nb"})).message, HasSubstr("a\\x0ab"));
  EXPECT_EQ(asked.error_of(request(Kind::GET, {})).code, ErrorCode::invalid_argument);
  EXPECT_EQ(asked.error_of(request(Kind::GET, {"a", "b"})).code, ErrorCode::invalid_argument);
  EXPECT_EQ(asked.error_of(wait_for({}, 10)).code, ErrorCode::invalid_argument);
  EXPECT_EQ(asked.error_of(request(Kind::UNKNOWN, {"a"})).code, ErrorCode::unimplemented);
  EXPECT_EQ(asked.error_of(request(static_cast<Kind::Kind>(99), {"a"})).code, ErrorCode::unimplemented);
}

}  // namespace
}  // namespace weft::store
