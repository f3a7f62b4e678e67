#include "core/store/remote_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "core/store/local_store.h"
#include "core/store/store_service.h"
#include "store_client_suite.h"

namespace weft::store {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

// The head: a store behind a listener.
class Head : public wire::ListenerHandler {
 public:
  Head() {
    auto bound = wire::Listener::bind({.name = "head", .token = "token"}, *this);
    EXPECT_TRUE(bound) << bound.error().message;
    if (bound) listener = std::move(*bound);
  }
  void on_bound(wire::Listener& bound) override { service_.bind(bound); }
  Status on_open(const wire::Peer&) override { return {}; }
  void on_message(const wire::Peer& peer, const wire::Envelope& envelope) override {
    if (envelope.has_store_request()) service_.on_request(peer, envelope.store_request());
  }
  void on_down(const wire::Peer& peer, const Error&) override { service_.on_down(peer); }

  StoreHost host;

 private:
  StoreService service_{host};

 public:
  std::unique_ptr<wire::Listener> listener;  // last: destroyed first
};

// A worker: a dialer and the store behind it.
class Worker : public wire::DialerHandler {
 public:
  explicit Worker(const Head& head) {
    auto dialed =
        wire::Dialer::dial({.name = "worker", .endpoint = head.listener->endpoint(), .token = "token"}, *this, soon());
    EXPECT_TRUE(dialed) << dialed.error().message;
    if (dialed) dialer = std::move(*dialed);
  }
  void on_message(const wire::Envelope& envelope) override { EXPECT_TRUE(store.handle(envelope)); }
  void on_down(const Error& why) override { store.fail(why); }

  RemoteStore store{[this](wire::Envelope envelope) { return dialer->send(std::move(envelope)); }};
  std::unique_ptr<wire::Dialer> dialer;  // last: destroyed first
};

TEST(RemoteStore, DoesEveryOperation) {
  Head head;
  Worker worker(head);
  expect_all_operations(worker.store);
}

TEST(RemoteStore, WakesAWait) {
  Head head;
  Worker worker(head);
  expect_wait_is_woken(worker.store);
}

TEST(RemoteStore, WaitFailsAtItsDeadlineAndNamesTheKeys) {
  Head head;
  Worker worker(head);
  expect_wait_names_what_is_missing(worker.store);
}

TEST(RemoteStore, CountsExactlyUnderEightWorkers) {
  Head head;
  std::vector<std::unique_ptr<Worker>> workers;
  for (int i = 0; i < 8; ++i)
    workers.push_back(std::make_unique<Worker>(head));
  expect_counters_are_exact([&](int i) -> StoreClient& { return workers[static_cast<std::size_t>(i)]->store; }, 8, 50);
}

TEST(RemoteStore, CountsExactlyUnderEightThreadsOfOneWorker) {
  Head head;
  Worker worker(head);
  expect_counters_are_exact([&](int) -> StoreClient& { return worker.store; }, 8, 50);
}

TEST(RemoteStore, TheHeadsOwnThreadsAndItsWorkersWaitForEachOther) {
  Head head;
  Worker worker(head);
  LocalStore local(head.host);
  auto remote = std::async(std::launch::async, [&] { return worker.store.wait({"from/head"}, soon()); });
  auto here = std::async(std::launch::async, [&] { return local.wait({"from/worker"}, soon()); });
  EXPECT_TRUE(local.set("from/head", "1", soon()));
  EXPECT_TRUE(worker.store.set("from/worker", "2", soon()));
  EXPECT_THAT(remote.get().value(), testing::ElementsAre("1"));
  EXPECT_THAT(here.get().value(), testing::ElementsAre("2"));
}

TEST(RemoteStore, AShorterWaitIsNotHeldUpByALongerOne) {
  Head head;
  Worker worker(head);
  auto longer =
      std::async(std::launch::async, [&] { return worker.store.wait({"late"}, Deadline::in(milliseconds(1200))); });
  const auto shorter = worker.store.wait({"early"}, Deadline::in(milliseconds(300)));
  EXPECT_THAT(shorter.error().message, HasSubstr("'early'"));
  EXPECT_THAT(longer.get().error().message, HasSubstr("'late'"));
}

TEST(RemoteStore, TheHeadsEndFailsEveryCallWithUnavailable) {
  auto head = std::make_unique<Head>();
  Worker worker(*head);
  auto waiting = std::async(std::launch::async, [&] { return worker.store.wait({"never"}, Deadline::never()); });
  EXPECT_TRUE(worker.store.set("k", "v", soon()));
  head.reset();
  EXPECT_EQ(waiting.get().error().code, ErrorCode::unavailable);
  EXPECT_EQ(worker.store.get("k", soon()).error().code, ErrorCode::unavailable);
}

TEST(RemoteStore, AWorkerThatGoesIsForgottenAndTheHeadLivesOn) {
  Head head;
  {
    Worker worker(head);
    EXPECT_EQ(worker.store.wait({"x"}, Deadline::in(milliseconds(1))).error().code, ErrorCode::deadline_exceeded);
    wire::Envelope waits;
    waits.mutable_store_request()->set_kind(wire::StoreRequest::WAIT);
    waits.mutable_store_request()->add_keys("x");
    waits.mutable_store_request()->set_timeout_ms(3'600'000);
    EXPECT_TRUE(worker.dialer->send(std::move(waits)));
  }
  Worker other(head);
  EXPECT_TRUE(other.store.set("x", "1", soon()));
  EXPECT_EQ(other.store.get("x", soon()).value(), "1");
}

TEST(RemoteStore, AReplyForNobodyIsTaken) {
  RemoteStore store([](wire::Envelope) -> Status { return {}; });
  wire::Envelope reply;
  reply.mutable_store_reply()->set_id(99);
  EXPECT_TRUE(store.handle(reply));
  reply.mutable_heartbeat();
  EXPECT_FALSE(store.handle(reply));
}

TEST(RemoteStore, AHeadThatDoesNotAnswerCostsTheDeadlineAndNoMore) {
  RemoteStore store([](wire::Envelope) -> Status { return {}; });
  const auto result = store.wait({"a", "b"}, Deadline::in(milliseconds(20)));
  EXPECT_EQ(result.error().code, ErrorCode::deadline_exceeded);
  EXPECT_THAT(result.error().message, HasSubstr("wait for 'a', 'b': the head has not answered"));
}

TEST(RemoteStore, ALinkThatCannotSendFailsTheCall) {
  RemoteStore store([](wire::Envelope) -> Status { return fail(ErrorCode::unavailable, "the link is down"); });
  EXPECT_EQ(store.set("a", "b", soon()).error().message, "store: set 'a': the link is down");
}

}  // namespace
}  // namespace weft::store
