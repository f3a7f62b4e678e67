#include "core/wire/link_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace weft::wire {
namespace {

using Verdict = LinkState::Verdict;
using testing::HasSubstr;

constexpr std::int64_t incarnation = 3;
constexpr std::uint64_t epoch = 0xabc;

LinkState make(std::uint64_t window = 4, std::uint64_t peer_credit = 4) {
  return LinkState({.incarnation = incarnation, .epoch = epoch, .window = window, .peer_credit = peer_credit});
}

Envelope counted(std::uint64_t sequence, std::uint64_t credit = 4) {
  Envelope out;
  out.set_incarnation(incarnation);
  out.set_link_epoch(epoch);
  out.set_sequence(sequence);
  out.set_credit(credit);
  out.mutable_heartbeat();
  return out;
}

Envelope with(Envelope envelope, void (*change)(Envelope&)) {
  change(envelope);
  return envelope;
}

struct Row {
  const char* name;
  std::vector<Envelope> before;  // taken in without complaint
  Envelope envelope;
  Verdict verdict;
  const char* message;
};

TEST(LinkState, JudgesEveryKindOfEnvelope) {
  const std::vector<Row> rows = {
      {"first", {}, counted(1), Verdict::deliver, ""},
      {"second", {counted(1)}, counted(2), Verdict::deliver, ""},
      {"gap", {counted(1)}, counted(3), Verdict::broken, "sequence 3, expected 2"},
      {"repeat", {counted(1)}, counted(1), Verdict::broken, "sequence 1, expected 2"},
      {"from zero", {}, counted(0), Verdict::broken, "sequence 0, expected 1"},
      {"wrong epoch", {}, with(counted(1), [](Envelope& e) { e.set_link_epoch(0xabd); }), Verdict::broken, "epoch abd"},
      {"no epoch", {}, with(counted(1), [](Envelope& e) { e.set_link_epoch(0); }), Verdict::broken, "epoch 0"},
      {"wrong incarnation",
       {},
       with(counted(1), [](Envelope& e) { e.set_incarnation(2); }),
       Verdict::broken,
       "incarnation 2, expected 3"},
      {"credit alone",
       {counted(1)},
       with(counted(1), [](Envelope& e) { e.mutable_credit_only(); }),
       Verdict::nothing,
       ""},
      {"credit after a loss",
       {counted(1)},
       with(counted(2), [](Envelope& e) { e.mutable_credit_only(); }),
       Verdict::broken,
       "messages are missing"},
      {"bye",
       {counted(1)},
       with(counted(1), [](Envelope& e) { e.mutable_bye()->set_reason("enough"); }),
       Verdict::peer_end,
       "enough"},
      {"bye after a loss", {}, with(counted(1), [](Envelope& e) { e.mutable_bye(); }), Verdict::broken, "missing"},
      {"refused",
       {},
       with(counted(0), [](Envelope& e) { e.mutable_refused()->mutable_error()->set_message("no"); }),
       Verdict::peer_end,
       "no"},
      {"open",
       {},
       with(counted(1), [](Envelope& e) { e.mutable_open(); }),
       Verdict::drop,
       "open on a link that is open"},
      {"opened", {}, with(counted(1), [](Envelope& e) { e.mutable_opened(); }), Verdict::drop, "opened on a link"},
      {"unknown body", {}, with(counted(1), [](Envelope& e) { e.clear_body(); }), Verdict::drop, "does not know"},
      {"beyond credit",
       {counted(1), counted(2), counted(3), counted(4)},
       counted(5),
       Verdict::broken,
       "sequence 5, but credit ends at 4"},
  };
  for (const Row& row : rows) {
    LinkState state = make();
    for (const Envelope& envelope : row.before)
      EXPECT_EQ(state.receive(envelope).verdict, Verdict::deliver) << row.name;
    const auto received = state.receive(row.envelope);
    EXPECT_EQ(received.verdict, row.verdict) << row.name;
    EXPECT_THAT(received.why.message, HasSubstr(row.message)) << row.name;
  }
}

TEST(LinkState, AnUnknownBodyIsCountedAndTheLinkGoesOn) {
  LinkState state = make();
  state.receive(with(counted(1), [](Envelope& e) { e.clear_body(); }));
  EXPECT_EQ(state.receive(counted(2)).verdict, Verdict::deliver);
}

TEST(LinkState, StampsWhatItSendsAndStopsWhereCreditEnds) {
  LinkState state = make(8, 2);
  for (int i = 0; i < 3; ++i)
    state.enqueue(with({}, [](Envelope& e) { e.mutable_heartbeat(); }));
  Envelope out;
  ASSERT_TRUE(state.next(out));
  EXPECT_EQ(out.sequence(), 1u);
  EXPECT_EQ(out.link_epoch(), epoch);
  EXPECT_EQ(out.incarnation(), incarnation);
  EXPECT_EQ(out.credit(), 8u);
  ASSERT_TRUE(state.next(out));
  EXPECT_FALSE(state.next(out)) << "credit is used up";
  EXPECT_EQ(state.queued(), 1u);
  EXPECT_EQ(state.credit().sequence(), 2u) << "uncounted: repeats the last";
  state.receive(with(counted(0, 1), [](Envelope& e) { e.mutable_credit_only(); }));
  EXPECT_FALSE(state.next(out)) << "credit never shrinks";
  state.receive(with(counted(0, 3), [](Envelope& e) { e.mutable_credit_only(); }));
  ASSERT_TRUE(state.next(out));
  EXPECT_EQ(out.sequence(), 3u);
}

TEST(LinkState, OwesCreditOnceHalfTheWindowIsUsed) {
  LinkState state = make(4);
  EXPECT_FALSE(state.credit_due());
  state.receive(counted(1));
  EXPECT_FALSE(state.credit_due());
  state.receive(counted(2));
  EXPECT_TRUE(state.credit_due());
  EXPECT_EQ(state.credit().credit(), 6u);
  EXPECT_FALSE(state.credit_due());
  LinkState narrow = make(1);
  EXPECT_FALSE(narrow.credit_due());
  narrow.receive(counted(1));
  EXPECT_TRUE(narrow.credit_due());
}

TEST(LinkState, TwoEndsExchangeAnyNumberThroughAnyWindow) {
  for (const std::uint64_t window : {1u, 2u, 3u, 7u}) {
    LinkState left = make(window, window);
    LinkState right = make(window, window);
    for (int i = 0; i < 100; ++i) {
      left.enqueue(with({}, [](Envelope& e) { e.mutable_heartbeat(); }));
      right.enqueue(with({}, [](Envelope& e) { e.mutable_heartbeat(); }));
    }
    int delivered = 0;
    const auto carry = [&](LinkState& from, LinkState& to) {
      for (Envelope envelope; from.next(envelope);) {
        const auto received = to.receive(envelope);
        ASSERT_EQ(received.verdict, Verdict::deliver) << received.why.message;
        ++delivered;
      }
      if (!to.credit_due()) return;
      EXPECT_EQ(from.receive(to.credit()).verdict, Verdict::nothing);
    };
    for (int round = 0; round < 400 && delivered < 200; ++round) {
      carry(left, right);
      carry(right, left);
    }
    EXPECT_EQ(delivered, 200) << "window " << window;
  }
}

}  // namespace
}  // namespace weft::wire
