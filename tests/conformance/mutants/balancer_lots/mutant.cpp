// A balancer of two choices: it draws two replicas, with replacement, and takes the one with fewer tokens charged to it. Of
// the rules of charges it breaks the one that WEFT_MUTANT names. It shares nothing with the mutants that always take the
// least, nor with the balancers that Weft ships.
#include <weft/load_balancer.h>
#include <weft/plugin.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "tests/conformance/mutants/switch.h"

namespace {

using namespace weft::mutant;
using weft::Decision;
using weft::Event;
using weft::ReplicaId;
using weft::ReplicaTable;
using weft::ReplicaView;
using weft::RequestId;
using weft::RequestView;

struct Charge {
  ReplicaId replica = -1;
  std::int64_t tokens = 0;
};

// One replica in its latest incarnation.
struct Account {
  std::int64_t incarnation = 0;
  std::int64_t tokens = 0;
};

class TwoChoices final : public weft::LoadBalancer {
 public:
  weft::Result<Decision> pick(const RequestView& request, const ReplicaTable& table, weft::Time) override {
    std::vector<const ReplicaView*> eligible;
    for (const ReplicaView& row : table.replicas)
      if (row.eligible) eligible.push_back(&row);
    if (eligible.empty()) return weft::fail(weft::ErrorCode::unavailable, "no replica is eligible", true);
    const ReplicaView* const one = eligible[draws_() % eligible.size()];
    const ReplicaView* const other = eligible[draws_() % eligible.size()];
    const bool better = tokens_of(*other) < tokens_of(*one) && !breaks("draws_one");
    const ReplicaView& chosen = better ? *other : *one;
    charge(request, chosen);
    return Decision{.replica = chosen.id, .reason = "the better of two lots"};
  }

  void observe(const Event& event, weft::Time) override {
    switch (event.kind) {
      case Event::Kind::finished:
      case Event::Kind::dropped: return on_end(event);
      case Event::Kind::joined:
        if (event.replica >= 0) open(event.replica, event.incarnation);
        return;
      case Event::Kind::left:
        if (lives(event.replica, event.incarnation)) close(event.replica);
        return;
      default: return;  // a charge neither grows nor shrinks before its end
    }
  }

  void* query(std::string_view) override { return nullptr; }

 private:
  std::int64_t tokens_of(const ReplicaView& row) const {
    const auto found = accounts_.find(row.id);
    return found == accounts_.end() || found->second.incarnation < row.incarnation ? 0 : found->second.tokens;
  }

  bool lives(ReplicaId replica, std::int64_t incarnation) const {
    const auto found = accounts_.find(replica);
    return found != accounts_.end() && found->second.incarnation == incarnation;
  }

  void charge(const RequestView& request, const ReplicaView& row) {
    if (!breaks("second_pick_adds")) end(request.id);
    Account& account = open(row.id, row.incarnation);
    const std::int64_t tokens =
        std::max<std::int64_t>(0, request.prompt_tokens) + std::max<std::int64_t>(0, request.max_tokens);
    account.tokens += tokens;
    charges_[request.id] = {.replica = row.id, .tokens = tokens};
  }

  // The replica's account; empty where this is a later incarnation than the one known.
  Account& open(ReplicaId replica, std::int64_t incarnation) {
    const auto [at, made] = accounts_.try_emplace(replica, Account{.incarnation = incarnation});
    if (!made && at->second.incarnation < incarnation) {
      close(replica);
      at->second.incarnation = incarnation;
    }
    return at->second;
  }

  void close(ReplicaId replica) {
    std::erase_if(charges_, [replica](const auto& entry) { return entry.second.replica == replica; });
    accounts_.at(replica).tokens = 0;
  }

  void on_end(const Event& event) {
    const bool finished = event.kind == Event::Kind::finished;
    if (breaks(finished ? "forgets_finished" : "forgets_dropped")) return;
    const auto found = charges_.find(event.request);
    if (found == charges_.end()) return;
    const bool anywhere = !finished && event.replica < 0;
    if (anywhere || (found->second.replica == event.replica && lives(event.replica, event.incarnation)))
      end(event.request);
  }

  void end(RequestId request) {
    const auto found = charges_.find(request);
    if (found == charges_.end()) return;
    accounts_.at(found->second.replica).tokens -= found->second.tokens;
    charges_.erase(found);
  }

  std::map<ReplicaId, Account> accounts_;
  std::unordered_map<RequestId, Charge> charges_;
  std::mt19937_64 draws_{20'260'101};  // the same each time: the same calls give the same decisions
};

weft::Result<std::unique_ptr<weft::LoadBalancer>> create(const weft::PluginOptions&, weft::HostServices&) {
  return std::make_unique<TwoChoices>();
}

}  // namespace

WEFT_PLUGIN(weft::LoadBalancer, {.name = "mutant",
                                 .version = "1.0.0",
                                 .summary = "draws two lots, and breaks a rule of charges",
                                 .create = &create})
