#include "tests/unit/routing/fake_leader.h"

namespace weft::test {

// ---- FakeLeader ----

void FakeLeader::dial(StoreClient& store) {
  const auto endpoint = store.get("router/1", soon());
  ASSERT_TRUE(endpoint) << endpoint.error().message;
  auto dialed = wire::Dialer::dial({.name = "leader",
                                    .endpoint = *endpoint,
                                    .token = token,
                                    .role = wire::ROLE_LEADER,
                                    .rank = replica_,
                                    .incarnation = incarnation_,
                                    .log = {}},
                                   *this, soon());
  ASSERT_TRUE(dialed) << dialed.error().message;
  dialer_ = std::move(*dialed);
}

void FakeLeader::attach(std::int32_t capacity) {
  wire::Envelope envelope;
  envelope.mutable_attach()->set_replica(replica_);
  envelope.mutable_attach()->set_capacity(capacity);
  EXPECT_TRUE(send(std::move(envelope)));
}

void FakeLeader::say_all(const std::vector<wire::RequestUpdate>& updates) {
  wire::Envelope envelope;
  for (const wire::RequestUpdate& update : updates)
    wire::add_update(update, *envelope.mutable_step_output());
  (void)send(std::move(envelope));  // a link that was closed on it says no more
}

void FakeLeader::say_stats(std::uint64_t sequence, std::int32_t waiting, double kv_usage) {
  wire::Envelope envelope;
  envelope.mutable_stats()->set_stats_sequence(sequence);
  envelope.mutable_stats()->set_waiting(waiting);
  envelope.mutable_stats()->set_kv_usage(kv_usage);
  EXPECT_TRUE(send(std::move(envelope)));
}

Request FakeLeader::wait_submit(std::size_t number) {
  EXPECT_TRUE(wait([&] { return submits.size() >= number; })) << "replica " << replica_;
  return locked([&] {
    auto read = wire::from_wire(submits.at(number - 1));
    EXPECT_TRUE(read);
    return read ? *read : Request{};
  });
}

void FakeLeader::wait_cancel(RequestId request) {
  EXPECT_TRUE(wait([&] { return cancels.count(request) > 0; })) << request;
}

Error FakeLeader::wait_down() {
  EXPECT_TRUE(wait([&] { return down_.has_value(); })) << "replica " << replica_;
  return locked([&] { return down_.value_or(Error{}); });
}

void FakeLeader::on_message(const wire::Envelope& envelope) {
  locked([&] {
    if (envelope.has_submit()) submits.push_back(envelope.submit());
    if (envelope.has_cancel()) cancels.insert(envelope.cancel().request());
  });
}

void FakeLeader::on_down(const Error& why) {
  locked([&] { down_ = why; });
}

// ---- Clients ----

void Clients::on_tokens(RequestId request, std::span<const TokenId> tokens) {
  locked([&] {
    EXPECT_EQ(ends_.count(request), 0u) << "tokens of request " << request << " after its end";
    tokens_[request].insert(tokens_[request].end(), tokens.begin(), tokens.end());
  });
}

void Clients::on_finished(RequestId request, const Outcome& outcome) {
  locked([&] {
    EXPECT_TRUE(ends_.emplace(request, outcome).second) << "request " << request << " ended twice";
    EXPECT_EQ(static_cast<std::size_t>(outcome.generated), tokens_[request].size()) << "request " << request;
  });
  if (at_end) at_end(request);
}

void Clients::on_room() {
  locked([&] { ++rooms_; });
}

Outcome Clients::wait_end(RequestId request) {
  EXPECT_TRUE(wait([&] { return ends_.count(request) > 0; })) << "request " << request;
  return locked([&] { return ends_[request]; });
}

std::vector<TokenId> Clients::wait_tokens(RequestId request, std::size_t count) {
  EXPECT_TRUE(wait([&] { return tokens_[request].size() >= count; })) << "request " << request;
  return tokens(request);
}

// ---- TestBalancer ----

Result<Decision> TestBalancer::pick(const RequestView&, const ReplicaTable& replicas, Time) {
  if (refuse) return fail(*refuse);
  if (always) return Decision{.replica = *always, .reason = "the test says so"};
  for (const ReplicaView& row : replicas.replicas)
    if (row.eligible) return Decision{.replica = row.id, .reason = "the first"};
  return fail(ErrorCode::unavailable, "none is eligible");
}

// ---- RouterTest ----

void RouterTest::open() {
  auto router = Router::open({.token = token}, balancer_, store_, clients_);
  ASSERT_TRUE(router) << router.error().message;
  router_ = std::move(*router);
}

FakeLeader& RouterTest::leader(ReplicaId replica, std::int32_t capacity, std::int64_t incarnation) {
  leaders_.push_back(std::make_unique<FakeLeader>(replica, incarnation));
  FakeLeader& made = *leaders_.back();
  made.dial(store_);
  made.attach(capacity);
  router_->set_ready(replica, incarnation);
  wait_room(capacity, replica);
  return made;
}

void RouterTest::wait_room(std::int32_t room, std::optional<ReplicaId> replica) {
  // Room changes on the router's thread, which tells of it by on_room.
  EXPECT_TRUE(clients_.wait([&] { return router_->room(replica) == room; })) << router_->room(replica);
}

Request RouterTest::request(std::int32_t max_tokens) {
  Request made{.id = router_->next_id(), .prompt = {1, 2, 3}};
  made.stop.max_tokens = max_tokens;
  return made;
}

RequestId RouterTest::submit(std::optional<ReplicaId> replica) {
  Request made = request();
  const RequestId id = made.id;
  const auto chosen = router_->submit(std::move(made), replica);
  EXPECT_TRUE(chosen) << chosen.error().message;
  return id;
}

}  // namespace weft::test
