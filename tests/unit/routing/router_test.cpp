#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/unit/routing/fake_leader.h"

namespace weft {
namespace {

using Routing = test::RouterTest;

wire::RequestUpdate tokens(RequestId request, std::vector<TokenId> ids) {
  return {.request = request, .tokens = std::move(ids)};
}
wire::RequestUpdate finish(RequestId request, std::vector<TokenId> ids, FinishReason reason = FinishReason::stop) {
  return {.request = request, .tokens = std::move(ids), .finish_reason = reason};
}

TEST_F(Routing, ItsEndpointIsInTheStoreWhileItLives) {
  open();
  EXPECT_TRUE(store_.get("router/1", test::soon()));
  close();
  EXPECT_EQ(store_.get("router/1", test::soon()).error().code, ErrorCode::not_found);
}

TEST_F(Routing, IdsNeverRepeatAndHoldTheEpoch) {
  open();
  const RequestId first = router_->next_id();
  EXPECT_EQ(first >> 40, 1u);
  EXPECT_EQ(router_->next_id(), first + 1);
}

TEST_F(Routing, ARequestGoesThereAndItsTokensComeBackInOrderWithOneEnd) {
  open();
  test::FakeLeader& leader = this->leader(0);
  Request asked = request(5);
  asked.sampling.seed = 77;
  const RequestId id = asked.id;
  ASSERT_EQ(router_->submit(asked, std::nullopt).value(), 0);
  const Request arrived = leader.wait_submit();
  EXPECT_EQ(arrived.id, id);
  EXPECT_EQ(arrived.prompt, asked.prompt);
  EXPECT_EQ(arrived.stop.max_tokens, 5);
  EXPECT_EQ(arrived.sampling.seed, 77u);
  leader.say(tokens(id, {10}));
  leader.say(tokens(id, {11, 12}));
  leader.say(
      {.request = id, .tokens = {13}, .finish_reason = FinishReason::stop, .matched_stop = "END", .text_offset = 9});
  const Outcome end = clients_.wait_end(id);
  EXPECT_EQ(end.reason, FinishReason::stop);
  EXPECT_EQ(end.replica, 0);
  EXPECT_EQ(end.generated, 4);
  EXPECT_EQ(end.matched_stop, "END");
  EXPECT_EQ(end.text_offset, 9);
  EXPECT_EQ(clients_.tokens(id), (std::vector<TokenId>{10, 11, 12, 13}));
  const LedgerTotals totals = router_->totals();
  EXPECT_EQ(totals.submitted, 1);
  EXPECT_EQ(totals.finished, 1);
  EXPECT_EQ(totals.replicas.at(0).tokens, 4);
  EXPECT_EQ(totals.replicas.at(0).in_flight, 0);
  EXPECT_GT(totals.replicas.at(0).first_token_seconds, 0);
}

TEST_F(Routing, ALeadersErrorReachesTheClientAsItWas) {
  open();
  test::FakeLeader& leader = this->leader(0);
  const RequestId id = submit();
  leader.say({.request = id,
              .finish_reason = FinishReason::error,
              .error = Error{ErrorCode::invalid_argument, "the prompt fills the context"}});
  const Outcome end = clients_.wait_end(id);
  EXPECT_EQ(end.error.code, ErrorCode::invalid_argument);
  EXPECT_FALSE(end.error.retryable);
}

TEST_F(Routing, WithoutAReplicaOrRoomNothingHappens) {
  open();
  EXPECT_EQ(router_->room(std::nullopt), 0);
  auto refused = router_->submit(request(), std::nullopt);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
  EXPECT_TRUE(refused.error().retryable);
  leader(0, 2);
  (void)submit();
  (void)submit();
  EXPECT_EQ(router_->room(0), 0);
  refused = router_->submit(request(), std::nullopt);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().retryable);
  EXPECT_EQ(router_->totals().submitted, 2);
}

TEST_F(Routing, RoomIsWhatAttachedAndReadyReplicasStillTake) {
  open();
  test::FakeLeader& leader = this->leader(0, 3);
  this->leader(1, 5);
  EXPECT_EQ(router_->room(std::nullopt), 8);
  const RequestId id = submit(0);
  EXPECT_EQ(router_->room(0), 2);
  EXPECT_EQ(router_->room(std::nullopt), 7);
  EXPECT_EQ(router_->room(9), 0);
  leader.say(finish(id, {}));
  (void)clients_.wait_end(id);
  EXPECT_EQ(router_->room(0), 3);
}

TEST_F(Routing, AReplicaNeedsBothTheClustersWordAndItsLeadersLink) {
  open();
  router_->set_ready(1, 1);
  test::FakeLeader attached(0, 1);
  attached.dial(store_);
  attached.attach();
  leader(2);  // by now all before has been dealt with
  EXPECT_EQ(router_->room(0), 0);
  EXPECT_EQ(router_->room(1), 0);
  EXPECT_FALSE(router_->submit(request(), 0));
  EXPECT_FALSE(router_->submit(request(), 1));
}

TEST_F(Routing, ANamedReplicaBypassesTheBalancer) {
  open();
  leader(0);
  test::FakeLeader& second = leader(1);
  const RequestId id = submit(1);
  EXPECT_EQ(second.wait_submit().id, id);
}

TEST_F(Routing, ABalancerThatPicksWhatCannotBeIsAnInternalError) {
  open();
  leader(0);
  for (const ReplicaId wrong : {1, -1, 99}) {
    balancer_.always = wrong;
    const auto picked = router_->submit(request(), std::nullopt);
    ASSERT_FALSE(picked) << wrong;
    EXPECT_EQ(picked.error().code, ErrorCode::internal);
    EXPECT_NE(picked.error().message.find("the test says so"), std::string::npos) << "its reason is told";
  }
  EXPECT_EQ(router_->totals().submitted, 0);
  close();
  const auto dropped = std::count_if(balancer_.events.begin(), balancer_.events.end(),
                                     [](const Event& event) { return event.kind == Event::Kind::dropped; });
  EXPECT_EQ(dropped, 3) << "what it charged is taken back";
}

TEST_F(Routing, ABalancersOwnErrorIsHandedOn) {
  open();
  leader(0);
  balancer_.refuse = Error{ErrorCode::resource_exhausted, "full"};
  EXPECT_EQ(router_->submit(request(), std::nullopt).error().message, "balancer: full");
}

TEST_F(Routing, TheBalancerHearsTheWholeLife) {
  open();
  test::FakeLeader& leader = this->leader(0);
  const RequestId id = submit();
  leader.say(tokens(id, {1}));
  leader.say_stats(1, 3);
  leader.say(finish(id, {2, 3}));
  (void)clients_.wait_end(id);
  router_->set_down(0, 1, {});
  close();
  std::vector<Event::Kind> kinds;
  for (const Event& event : balancer_.events)
    kinds.push_back(event.kind);
  using Kind = Event::Kind;
  EXPECT_EQ(kinds, (std::vector<Kind>{Kind::joined, Kind::dispatched, Kind::first_token, Kind::stats, Kind::progress,
                                      Kind::finished, Kind::left}));
  EXPECT_EQ(balancer_.events[1].prompt_tokens, 3);
  EXPECT_EQ(balancer_.events[5].generated, 3);
}

TEST_F(Routing, TheSameIdTwiceIsRefused) {
  open();
  leader(0);
  const Request twice = request();
  ASSERT_TRUE(router_->submit(twice, std::nullopt));
  EXPECT_EQ(router_->submit(twice, std::nullopt).error().code, ErrorCode::already_exists);
}

TEST_F(Routing, ARequestTooLargeForAnyLinkIsItsOwnFault) {
  open();
  leader(0);
  Request huge = request();
  huge.prompt.assign(std::size_t{16} << 20, 1 << 28);
  const auto refused = router_->submit(std::move(huge), std::nullopt);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_FALSE(refused.error().retryable);
  EXPECT_EQ(router_->room(0), 4);
}

TEST_F(Routing, CancelReachesTheLeaderAndTheLeaderEndsIt) {
  open();
  test::FakeLeader& leader = this->leader(0);
  const RequestId id = submit();
  ASSERT_TRUE(router_->cancel(id));
  leader.wait_cancel(id);
  leader.say(finish(id, {}, FinishReason::cancelled));
  EXPECT_EQ(clients_.wait_end(id).reason, FinishReason::cancelled);
  EXPECT_EQ(router_->cancel(id).error().code, ErrorCode::not_found);
  EXPECT_EQ(router_->cancel(12345).error().code, ErrorCode::not_found);
}

TEST_F(Routing, ALostReplicasRequestsEndOnceAndMayBeTriedAgain) {
  open();
  test::FakeLeader& first = leader(0);
  leader(1);
  const RequestId lost = submit(0);
  const RequestId kept = submit(1);
  first.say(tokens(lost, {1, 2}));
  (void)clients_.wait_tokens(lost, 2);
  router_->set_down(0, 1, {ErrorCode::unavailable, "rank 0 was killed"});
  const Outcome end = clients_.wait_end(lost);
  EXPECT_EQ(end.reason, FinishReason::error);
  EXPECT_TRUE(end.error.retryable);
  EXPECT_EQ(end.error.message, "rank 0 was killed");
  EXPECT_EQ(end.generated, 2);
  EXPECT_EQ(router_->room(0), 0);
  // What it still says comes from the dead.
  first.say(finish(lost, {3}));
  leaders_[1]->say(finish(kept, {4}));
  EXPECT_EQ(clients_.wait_end(kept).reason, FinishReason::stop);
}

TEST_F(Routing, ALinkThatIsLostTakesNoMoreAndItsRequestsWaitForTheClustersWord) {
  open();
  test::FakeLeader& leader = this->leader(0);
  const RequestId id = submit();
  leader.hang_up();
  this->leader(1);
  wait_room(4);
  EXPECT_EQ(router_->room(0), 0);
  EXPECT_EQ(clients_.ended(), 0u);
  EXPECT_TRUE(router_->cancel(id)) << "the replica's end will end it";
  router_->set_down(0, 1, {ErrorCode::unavailable, "gone"});
  EXPECT_TRUE(clients_.wait_end(id).error.retryable);
}

TEST_F(Routing, ANewIncarnationStartsWithAllItsRoom) {
  open();
  leader(0, 3);
  const RequestId lost = submit();
  test::FakeLeader next(0, 2);
  next.dial(store_);
  next.attach(3);  // before the cluster has said that the old one is down
  router_->set_down(0, 1, {ErrorCode::unavailable, "gone"});
  (void)clients_.wait_end(lost);
  router_->set_ready(0, 2);
  wait_room(3, 0);
  (void)submit();
  EXPECT_EQ(router_->room(0), 2);
}

TEST_F(Routing, WordsOfAnEarlierIncarnationAreStale) {
  open();
  test::FakeLeader& old = leader(0, 3);
  const RequestId lost = submit();
  router_->set_down(0, 1, {ErrorCode::unavailable, "gone"});
  (void)clients_.wait_end(lost);
  test::FakeLeader& next = leader(0, 3, 2);
  const RequestId id = submit();
  old.say(finish(id, {66}));
  router_->set_down(0, 1, {ErrorCode::unavailable, "gone"});
  router_->set_ready(0, 1);
  next.say(finish(id, {5}));
  EXPECT_EQ(clients_.wait_end(id).reason, FinishReason::stop);
  EXPECT_EQ(clients_.tokens(id), (std::vector<TokenId>{5}));
  wait_room(3, 0);
}

TEST_F(Routing, ALeaderSpeaksForNoOtherReplicasRequests) {
  open();
  test::FakeLeader& first = leader(0);
  test::FakeLeader& second = leader(1);
  const RequestId id = submit(0);
  const RequestId mark = submit(1);
  second.say_all({finish(id, {66}), finish(999, {66}), finish(mark, {})});
  (void)clients_.wait_end(mark);
  EXPECT_EQ(clients_.ended(), 1u);
  first.say(finish(id, {5}));
  (void)clients_.wait_end(id);
  EXPECT_EQ(clients_.tokens(id), (std::vector<TokenId>{5}));
}

TEST_F(Routing, ADrainingReplicaFinishesWhatItHasAndTakesNoMore) {
  open();
  test::FakeLeader& leader = this->leader(0);
  const RequestId id = submit();
  router_->set_draining(0);
  this->leader(1);
  EXPECT_EQ(router_->room(0), 0);
  EXPECT_FALSE(router_->submit(request(), 0));
  leader.say(finish(id, {1}));
  EXPECT_EQ(clients_.wait_end(id).reason, FinishReason::stop);
  router_->set_ready(0, 1);
  wait_room(4, 0);
}

TEST_F(Routing, AMalformedOutputClosesItsOwnLinkOnlyAndNothingAfterItCounts) {
  open();
  test::FakeLeader& bad = leader(0);
  test::FakeLeader& good = leader(1);
  const RequestId id = submit(0);
  bad.say(tokens(id, {1}));
  bad.say_all({tokens(id, {2}), tokens(id, {-7})});  // one bad id spoils the message
  bad.say(tokens(id, {3}));                          // and what follows has a gap before it
  (void)bad.wait_down();
  EXPECT_EQ(clients_.tokens(id), (std::vector<TokenId>{1}));
  const RequestId other = submit(1);
  good.say(finish(other, {5}));
  EXPECT_EQ(clients_.wait_end(other).reason, FinishReason::stop);
  EXPECT_EQ(router_->room(0), 0);
  // The same incarnation does not come back: what it said on the old link is lost.
  test::FakeLeader again(0, 1);
  again.dial(store_);
  again.attach();
  (void)again.wait_down();
  EXPECT_EQ(router_->room(0), 0);
}

TEST_F(Routing, MessagesOutOfPlaceAreDropped) {
  open();
  test::FakeLeader& leader = this->leader(0);
  const RequestId id = submit();
  test::FakeLeader early(0, 1);
  early.dial(store_);
  early.say(finish(id, {66}));
  early.say_stats(1, 1);
  leader.attach(9);  // a second time
  wire::Envelope envelope;
  envelope.mutable_hello();
  ASSERT_TRUE(leader.send(envelope));
  envelope.mutable_cancel();
  ASSERT_TRUE(leader.send(envelope));
  leader.say(finish(id, {5}));
  (void)clients_.wait_end(id);
  EXPECT_EQ(clients_.tokens(id), (std::vector<TokenId>{5}));
  EXPECT_EQ(router_->room(0), 4);
}

TEST_F(Routing, AnAttachThatCannotBeIsRefused) {
  open();
  for (const auto& [replica, capacity] : {std::pair{-1, 4}, {0, 0}, {0, -1}, {0, 1 << 30}, {1 << 17, 4}}) {
    test::FakeLeader wrong(replica, 1);
    wrong.dial(store_);
    wrong.attach(capacity);
    (void)wrong.wait_down();
  }
  leader(0);
}

TEST_F(Routing, AWorkerIsToldThatThisPortIsForLeaders) {
  open();
  test::FakeLeader handler(0, 1);
  const auto dialed = wire::Dialer::dial({.name = "worker",
                                          .endpoint = *store_.get("router/1", test::soon()),
                                          .token = test::token,
                                          .role = wire::ROLE_WORKER,
                                          .rank = 0,
                                          .incarnation = 1,
                                          .log = {}},
                                         handler, test::soon());
  ASSERT_FALSE(dialed);
  EXPECT_NE(dialed.error().message.find("this port is for leaders"), std::string::npos);
}

TEST_F(Routing, FiguresOfALeaderAreKeptUnlessTheyCannotBeOrAreOld) {
  open();
  test::FakeLeader& leader = this->leader(0);
  const RequestId id = submit();
  leader.say_stats(5, 7);
  leader.say_stats(4, 1);
  leader.say_stats(6, -1);
  leader.say_stats(7, 1, std::nan(""));
  leader.say_stats(8, 1, std::numeric_limits<double>::infinity());
  leader.say(finish(id, {}));
  (void)clients_.wait_end(id);
  EXPECT_EQ(router_->stats().at(0).waiting, 7);
}

TEST_F(Routing, ItsEndEndsEveryRequestOnce) {
  open();
  leader(0);
  const RequestId first = submit();
  const RequestId second = submit();
  close();
  for (const RequestId id : {first, second}) {
    const Outcome end = clients_.wait_end(id);
    EXPECT_EQ(end.reason, FinishReason::error);
    EXPECT_EQ(end.error.code, ErrorCode::cancelled);
    EXPECT_TRUE(end.error.retryable);
  }
}

TEST_F(Routing, WhatAClientSubmitsWhileTheRouterClosesIsRefused) {
  Router* router = nullptr;
  Request late;
  clients_.at_end = [&](RequestId) {
    EXPECT_EQ(router->submit(late, std::nullopt).error().code, ErrorCode::failed_precondition);
  };
  open();
  router = router_.get();
  late = request();
  leader(0);
  const RequestId id = submit();
  close();
  (void)clients_.wait_end(id);
  EXPECT_EQ(clients_.ended(), 1u);
}

TEST_F(Routing, AClientMaySubmitTheNextFromItsEvent) {
  std::vector<RequestId> ids;
  clients_.at_end = [&](RequestId) {
    if (ids.size() >= 3) return;
    Request next = request();
    ids.push_back(next.id);
    EXPECT_TRUE(router_->submit(std::move(next), std::nullopt));
  };
  open();
  test::FakeLeader& leader = this->leader(0, 1);
  leader.say(finish(submit(), {}));
  for (std::size_t i = 2; i <= 4; ++i)
    leader.say(finish(leader.wait_submit(i).id, {}));
  EXPECT_TRUE(clients_.wait([&] { return router_->totals().finished == 4; }));
  close();  // before what the events' handler uses goes
}

}  // namespace
}  // namespace weft
