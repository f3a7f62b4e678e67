// Both neighbours of a router: scripted leaders, and clients that keep what they are told.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/routing/router.h"
#include "core/store/local_store.h"
#include "core/store/store_host.h"
#include "core/wire/convert.h"
#include "core/wire/link.h"

namespace weft::test {

inline Deadline soon() { return Deadline::in(std::chrono::seconds(60)); }
inline constexpr const char* token = "a-token-of-this-cluster";

// What a test hears, and waits for what is to come.
class Heard {
 public:
  template <class Predicate>
  bool wait(Predicate predicate) {
    std::unique_lock lock(mutex_);
    return changed_.wait_until(lock, soon().at(), predicate);
  }
  template <class Change>
  auto locked(Change change) {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
    return change();
  }

 private:
  std::mutex mutex_;  // guards what the subclasses keep
  std::condition_variable changed_;
};

// Says what the test has it say.
class FakeLeader final : public wire::DialerHandler, public Heard {
 public:
  FakeLeader(ReplicaId replica, std::int64_t incarnation) : replica_(replica), incarnation_(incarnation) {}
  ~FakeLeader() override { dialer_.reset(); }

  void dial(StoreClient& store);
  void attach(std::int32_t capacity = 4);
  void say(const wire::RequestUpdate& update) { say_all({update}); }
  void say_all(const std::vector<wire::RequestUpdate>& updates);
  void say_stats(std::uint64_t sequence, std::int32_t waiting, double kv_usage = 0.5);
  Status send(wire::Envelope envelope) {
    return dialer_ ? dialer_->send(std::move(envelope)) : fail(ErrorCode::unavailable, "hung up");
  }
  void hang_up() { dialer_.reset(); }

  Request wait_submit(std::size_t number = 1);
  void wait_cancel(RequestId request);
  Error wait_down();
  bool is_down() {
    return locked([&] { return down_.has_value(); });
  }

  const ReplicaId replica_;
  const std::int64_t incarnation_;
  std::vector<wire::Submit> submits;  // under the lock
  std::set<RequestId> cancels;        // under the lock

 private:
  void on_message(const wire::Envelope& envelope) override;
  void on_down(const Error& why) override;

  std::optional<Error> down_;
  std::unique_ptr<wire::Dialer> dialer_;
};

// Checks as it listens: tokens before the end, and one end.
class Clients final : public RouterEvents, public Heard {
 public:
  void on_tokens(RequestId request, std::span<const TokenId> tokens) override;
  void on_finished(RequestId request, const Outcome& outcome) override;
  void on_room() override;

  Outcome wait_end(RequestId request);
  std::vector<TokenId> wait_tokens(RequestId request, std::size_t count);
  std::vector<TokenId> tokens(RequestId request) {
    return locked([&] { return tokens_[request]; });
  }
  std::size_t ended() {
    return locked([&] { return ends_.size(); });
  }

  std::function<void(RequestId)> at_end;  // set before the router opens

 private:
  std::map<RequestId, std::vector<TokenId>> tokens_;
  std::map<RequestId, Outcome> ends_;
  int rooms_ = 0;
};

// The first eligible replica, unless the test says which; keeps what it observes.
class TestBalancer final : public LoadBalancer {
 public:
  Result<Decision> pick(const RequestView& request, const ReplicaTable& replicas, Time now) override;
  void observe(const Event& event, Time now) override { events.push_back((static_cast<void>(now), event)); }
  void* query(std::string_view) override { return nullptr; }

  std::optional<ReplicaId> always;
  std::optional<Error> refuse;
  std::vector<Event> events;  // the router's lock guards it; read when the router is gone
};

class RouterTest : public testing::Test {
 protected:
  ~RouterTest() override { close(); }
  void open();
  void close() { router_.reset(); }
  // Attached and ready, with room.
  FakeLeader& leader(ReplicaId replica, std::int32_t capacity = 4, std::int64_t incarnation = 1);
  void wait_room(std::int32_t room, std::optional<ReplicaId> replica = std::nullopt);
  Request request(std::int32_t max_tokens = 8);
  RequestId submit(std::optional<ReplicaId> replica = std::nullopt);

  store::StoreHost host_;
  store::LocalStore store_{host_};
  TestBalancer balancer_;
  Clients clients_;
  std::vector<std::unique_ptr<FakeLeader>> leaders_;
  std::unique_ptr<Router> router_;
};

}  // namespace weft::test
