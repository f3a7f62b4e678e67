#include "core/routing/ledger.h"

#include <gtest/gtest.h>

#include <array>

namespace weft::routing {
namespace {

constexpr std::array<TokenId, 2> two = {7, 8};

TEST(Ledger, ARequestEntersOnce) {
  Ledger ledger;
  EXPECT_TRUE(ledger.enter({.id = 1}, 0, 1));
  EXPECT_FALSE(ledger.enter({.id = 1}, 1, 1));
  EXPECT_EQ(ledger.totals().submitted, 1);
  EXPECT_EQ(ledger.totals().replicas.at(0).in_flight, 1);
  EXPECT_EQ(ledger.totals().replicas.count(1), 0u);
}

TEST(Ledger, ItEndsOnce) {
  Ledger ledger;
  ledger.enter({.id = 1}, 0, 1);
  EXPECT_TRUE(ledger.end(1));
  EXPECT_FALSE(ledger.end(1));
  EXPECT_FALSE(ledger.end(2));
  EXPECT_EQ(ledger.totals().finished, 1);
  EXPECT_EQ(ledger.totals().replicas.at(0).requests, 1);
  EXPECT_EQ(ledger.totals().replicas.at(0).in_flight, 0);
}

TEST(Ledger, OnlyItsOwnIncarnationOfItsOwnReplicaFindsIt) {
  Ledger ledger;
  ledger.enter({.id = 1}, 2, 3);
  EXPECT_NE(ledger.find(1, 2, 3), nullptr);
  EXPECT_EQ(ledger.find(1, 2, 2), nullptr);
  EXPECT_EQ(ledger.find(1, 1, 3), nullptr);
  EXPECT_EQ(ledger.find(9, 2, 3), nullptr);
  ledger.end(1);
  EXPECT_EQ(ledger.find(1, 2, 3), nullptr);
  EXPECT_EQ(ledger.find(1), nullptr);
}

TEST(Ledger, ItKeepsWhatAReplayNeeds) {
  Ledger ledger;
  ledger.enter({.id = 1, .prompt = {1, 2, 3, 4}, .emitted = {5}, .prompt_scored = 1}, 0, 1);
  ledger.score(*ledger.find(1), 2);
  ledger.give(*ledger.find(1), two, 0.5);
  const auto ended = ledger.end(1);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->request.prompt, (std::vector<TokenId>{1, 2, 3, 4}));
  EXPECT_EQ(ended->request.prompt_scored, 3) << "log-probabilities that were told are not told again";
  EXPECT_EQ(ended->request.emitted, (std::vector<TokenId>{5, 7, 8}));
  EXPECT_EQ(ended->generated, 2) << "what an earlier replica emitted is not counted here";
  EXPECT_EQ(ledger.totals().replicas.at(0).tokens, 2);
}

TEST(Ledger, TheFirstTokenIsTimedOnce) {
  Ledger ledger;
  ledger.enter({.id = 1}, 0, 1);
  ledger.give(*ledger.find(1), {}, 0.25);
  ledger.give(*ledger.find(1), two, 0.5);
  ledger.give(*ledger.find(1), two, 0.75);
  EXPECT_EQ(ledger.totals().replicas.at(0).first_token_seconds, 0.5);
}

TEST(Ledger, HeldByNamesAReplicasIncarnationInOrder) {
  Ledger ledger;
  ledger.enter({.id = 9}, 0, 1);
  ledger.enter({.id = 3}, 0, 1);
  ledger.enter({.id = 4}, 0, 2);
  ledger.enter({.id = 5}, 1, 1);
  EXPECT_EQ(ledger.held_by(0, 1), (std::vector<RequestId>{3, 9}));
  EXPECT_EQ(ledger.all(), (std::vector<RequestId>{3, 4, 5, 9}));
}

}  // namespace
}  // namespace weft::routing
