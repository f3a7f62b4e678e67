// The settlement: at the end of a batch the leaders all-reduce what they delivered. One round is one Settle to each
// replica that serves and one answer of each; a member lost in a round is left out of the next.
#include <fmt/format.h>

#include <algorithm>

#include "core/cluster/supervisor.h"
#include "core/telemetry/log.h"
#include "core/wire/convert.h"

namespace weft::cluster_detail {

Result<Settlement> Supervisor::settle(Deadline deadline) {
  auto promise = std::make_shared<std::promise<Result<Settlement>>>();  // shared: a std::function must be copyable
  std::future<Result<Settlement>> future = promise->get_future();
  post([this, promise, deadline] { begin_settlement(std::move(*promise), deadline); });
  return future.get();  // ended at the deadline at the latest
}

void Supervisor::begin_settlement(std::promise<Result<Settlement>> promise, Deadline deadline) {
  if (settling_) return promise.set_value(fail(ErrorCode::failed_precondition, "a settlement is under way"));
  if (stopping_) return promise.set_value(fail(ErrorCode::cancelled, "the cluster is stopping"));
  settling_.emplace(
      Settling{.result = {}, .failed = {}, .group = {}, .promise = std::move(promise), .deadline = deadline});
  begin_round();
}

void Supervisor::begin_round() {
  settling_->result = {};
  settling_->failed.clear();
  settling_->group = fmt::format("replicas/settle-{}", ++rounds_);
  std::vector<Replica*> members;
  for (Replica& replica : replicas_) {
    (replica.serves() ? settling_->result.members : settling_->result.left_out).push_back(replica.plan->dp);
    if (replica.serves()) members.push_back(&replica);
  }
  log::debug("cluster", "settling over {} replica(s) in group {}", members.size(), settling_->group);
  const auto left = std::min<Duration>(settling_->deadline.left(), options_.config->timeouts.collective);
  for (std::size_t i = 0; i < members.size(); ++i) {
    wire::Envelope envelope;
    wire::GroupInfo& group = *envelope.mutable_settle()->mutable_group();
    group.set_id(settling_->group);
    group.set_rank(static_cast<std::int32_t>(i));
    group.set_size(static_cast<std::int32_t>(members.size()));
    for (Replica* member : members)
      group.add_members(member->leader().name);
    envelope.mutable_settle()->set_timeout_ms(std::chrono::duration_cast<std::chrono::milliseconds>(left).count());
    RankState& leader = members[i]->leader();
    if (bound_->send(leader.link, std::move(envelope))) ++leader.settles_owed;  // a lost link is heard of by itself
  }
  if (members.empty()) end_round();
}

void Supervisor::settled(Replica& replica, RankState& rank, const wire::Settled& settled) {
  if (rank.settles_owed == 0) return log::warn("cluster", "{}: a Settled that nobody asked for was dropped", rank.name);
  // Answers come in the order of the questions: only the last is of this round.
  if (--rank.settles_owed > 0 || !settling_)
    return log::debug("cluster", "{}: the answer to a settlement that is over", rank.name);
  const std::int32_t dp = replica.plan->dp;
  Settlement& result = settling_->result;
  const bool agrees =
      result.each.empty() || (settled.total_requests() == result.requests && settled.total_tokens() == result.tokens);
  if (settled.error().code() != 0) {
    settling_->failed[dp] = annotate(wire::from_wire(settled.error()), "settlement: " + rank.name);
  } else if (!agrees) {
    settling_->failed[dp] = {
        ErrorCode::internal,
        fmt::format("settlement: {} summed {} requests and {} tokens, another leader {} and {}", rank.name,
                    settled.total_requests(), settled.total_tokens(), result.requests, result.tokens)};
  } else {
    result.each[dp] = {settled.requests(), settled.tokens()};
    result.requests = settled.total_requests();
    result.tokens = settled.total_tokens();
  }
  log::debug("cluster", "replica {} delivered {} requests, {} tokens; all-reduced {} and {}", dp, settled.requests(),
             settled.tokens(), settled.total_requests(), settled.total_tokens());
  if (result.each.size() + settling_->failed.size() == result.members.size()) end_round();
}

void Supervisor::end_round() {
  Settling& settling = *settling_;
  if (settling.failed.empty()) return end_settlement(std::move(settling.result));
  for (const Replica& replica : replicas_)
    if (!replica.serves() && settling.result.each.count(replica.plan->dp) > 0) return begin_round();
  end_settlement(fail(settling.failed.begin()->second));
}

// The others' all-reduce can no longer end well unless this replica has had its part in it.
void Supervisor::settlement_lost(const Replica& replica) {
  if (!settling_ || settling_->result.each.count(replica.plan->dp) > 0) return;
  const auto& members = settling_->result.members;
  if (std::find(members.begin(), members.end(), replica.plan->dp) == members.end()) return;
  log::warn("cluster", "replica {} was lost in the settlement, which begins again without it", replica.plan->dp);
  // Whoever waits for it in that group is let go.
  store_host_.retire("group/" + settling_->group + "/", fmt::format("replica {} was lost", replica.plan->dp));
  begin_round();
}

void Supervisor::settlement_deadline_passed() {
  std::string missing;
  for (Replica& replica : replicas_) {
    const std::int32_t dp = replica.plan->dp;
    const auto& members = settling_->result.members;
    const bool member = std::find(members.begin(), members.end(), dp) != members.end();
    if (member && settling_->result.each.count(dp) == 0 && settling_->failed.count(dp) == 0)
      missing += (missing.empty() ? "" : ", ") + replica.leader().name;
  }
  end_settlement(fail(ErrorCode::deadline_exceeded, "settlement: no answer from " + missing, true));
}

void Supervisor::end_settlement(Result<Settlement> result) {
  std::promise<Result<Settlement>> promise = std::move(settling_->promise);
  settling_.reset();
  promise.set_value(std::move(result));
}

}  // namespace weft::cluster_detail
