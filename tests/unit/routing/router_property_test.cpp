// Random histories of requests, leaders and their ends. Whatever happens: one end a request, tokens without gap or
// repeat, and totals that are the leaders' own.
#include <array>
#include <random>

#include "tests/unit/routing/fake_leader.h"

namespace weft {
namespace {

constexpr std::int32_t replica_count = 3;
constexpr std::int32_t slots = 6;

class History : public test::RouterTest, public testing::WithParamInterface<unsigned> {
 protected:
  // A leader and what it has counted.
  struct Replica {
    std::int64_t incarnation = 1;
    test::FakeLeader* leader = nullptr;
    bool up = true;
    std::map<RequestId, TokenId> said;  // requests it knows -> how many tokens it has given
    std::int64_t requests = 0;
    std::int64_t tokens = 0;
  };

  int draw(int below) { return std::uniform_int_distribution<int>(0, below - 1)(random_); }
  Replica& any() { return replicas_[static_cast<std::size_t>(draw(replica_count))]; }

  void start() {
    open();
    for (std::int32_t id = 0; id < replica_count; ++id)
      replicas_[static_cast<std::size_t>(id)].leader = &leader(id, slots);
  }

  void submit_one() {
    Request made = request();
    const RequestId id = made.id;
    const auto named = draw(3) == 0 ? std::optional<ReplicaId>(draw(replica_count)) : std::nullopt;
    const auto chosen = router_->submit(std::move(made), named);
    if (chosen) holders_[id] = *chosen;
  }

  // Gives a request that the leader has heard of up to two tokens, numbered, and perhaps its end.
  void step(Replica& replica, bool end) {
    const auto submits = replica.leader->locked([&] { return replica.leader->submits; });
    if (submits.empty()) return;
    const RequestId id = submits[static_cast<std::size_t>(draw(static_cast<int>(submits.size())))].request();
    const bool ended = ended_by_leader_.count(id) > 0;
    wire::RequestUpdate update{.request = id};
    TokenId& next = replica.said[id];
    for (int count = draw(3); count > 0; --count)
      update.tokens.push_back(next++);
    if (end) update.finish_reason = draw(2) == 0 ? FinishReason::stop : FinishReason::cancelled;
    replica.leader->say(update);
    if (ended || !replica.up) return;  // said after its end: counts for nothing
    replica.tokens += static_cast<std::int64_t>(update.tokens.size());
    if (!end) return;
    ++replica.requests;
    ended_by_leader_.insert(id);
  }

  void lose(Replica& replica) {
    if (!std::exchange(replica.up, false)) return;
    const auto id = replica.leader->replica_;
    if (draw(2) == 0) replica.leader->hang_up();
    router_->set_down(id, replica.incarnation, {ErrorCode::unavailable, "lost"});
    ++losses_;
  }

  void bring_back(Replica& replica) {
    if (std::exchange(replica.up, true)) return;
    const std::int64_t next = replica.incarnation + 1;
    test::FakeLeader* leader = &this->leader(replica.leader->replica_, slots, next);
    replica = {.incarnation = next, .leader = leader};
  }

  void turn() {
    switch (draw(14)) {
      case 0:
      case 1:
      case 2:
      case 3: return submit_one();
      case 4:
      case 5:
      case 6:
      case 7: return step(any(), false);
      case 8:
      case 9: return step(any(), true);
      case 10:
        if (!holders_.empty())
          (void)router_->cancel(std::next(holders_.begin(), draw(static_cast<int>(holders_.size())))->first);
        return;
      case 11: {  // of another's request, or of none
        Replica& replica = any();
        if (replica.up && !holders_.empty()) {
          const auto& [id, holder] = *holders_.begin();
          if (holder != replica.leader->replica_) replica.leader->say({.request = id, .tokens = {99}});
        }
        return;
      }
      case 12:
        if (draw(4) == 0) lose(any());
        return;
      default: return bring_back(any());
    }
  }

  // Every leader that lives ends what it has not ended.
  void finish_all() {
    for (Replica& replica : replicas_) {
      bring_back(replica);
      const ReplicaId id = replica.leader->replica_;
      const auto in_flight = [&] {
        const auto totals = router_->totals();
        const auto row = totals.replicas.find(id);
        return row == totals.replicas.end() ? 0 : row->second.in_flight;
      };
      std::size_t done = 0;
      while (in_flight() > 0) {
        const RequestId request = replica.leader->wait_submit(++done).id;
        if (!ended_by_leader_.insert(request).second) {
          (void)clients_.wait_end(request);  // its end was on the way
          continue;
        }
        replica.leader->say({.request = request, .finish_reason = FinishReason::length});
        ++replica.requests;
        (void)clients_.wait_end(request);
      }
    }
  }

  std::mt19937 random_{GetParam()};
  std::array<Replica, replica_count> replicas_;
  std::map<RequestId, ReplicaId> holders_;
  std::set<RequestId> ended_by_leader_;
  int losses_ = 0;
};

TEST_P(History, OneEndEachAndTokensWithoutGapOrRepeat) {
  start();
  for (int i = 0; i < 1500; ++i)
    turn();
  finish_all();
  const LedgerTotals totals = router_->totals();
  EXPECT_EQ(totals.submitted, static_cast<std::int64_t>(holders_.size()));
  EXPECT_EQ(totals.finished, totals.submitted);
  for (const auto& [id, row] : totals.replicas) {
    EXPECT_EQ(row.in_flight, 0);
    EXPECT_EQ(router_->room(id), slots);
    const Replica& replica = replicas_[static_cast<std::size_t>(id)];
    if (replica.incarnation > 1) continue;  // what an incarnation said last may have been lost with it
    EXPECT_EQ(row.requests, replica.requests);
    EXPECT_EQ(row.tokens, replica.tokens);
  }
  close();
  EXPECT_EQ(clients_.ended(), holders_.size());
  for (const auto& [id, holder] : holders_) {
    const auto tokens = clients_.tokens(id);
    for (std::size_t i = 0; i < tokens.size(); ++i)
      ASSERT_EQ(tokens[i], static_cast<TokenId>(i)) << "request " << id;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, History, testing::Range(1u, 9u));

}  // namespace
}  // namespace weft
