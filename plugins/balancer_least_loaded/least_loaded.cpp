// least_loaded: the eligible replica with the fewest tokens pending; in turn where several have as few.
#include <weft/load_balancer.h>
#include <weft/plugin.h>

#include <array>
#include <chrono>
#include <memory>
#include <string>

#include "token_ledger.h"

namespace {

using weft::least_loaded::Load;
using weft::least_loaded::TokenLedger;

// 1440 -> "1,440"
std::string with_commas(std::int64_t value) {
  std::string digits = std::to_string(value);
  for (std::size_t at = digits.size(); at > 3; at -= 3)
    digits.insert(at - 3, 1, ',');
  return digits;
}

class LeastLoaded final : public weft::LoadBalancer {
 public:
  explicit LeastLoaded(weft::Duration stats_ttl) : ledger_(stats_ttl) {}

  weft::Result<weft::Decision> pick(const weft::RequestView& request, const weft::ReplicaTable& table,
                                    weft::Time now) override {
    const Choice choice = choose(table, now);
    if (choice.best == nullptr)
      return weft::fail(weft::ErrorCode::unavailable,
                        "none of " + std::to_string(table.replicas.size()) + " replicas is eligible", true);
    last_ = choice.best->id;
    ledger_.charge(request, choice.best->id, choice.best->incarnation);
    std::string reason = "the only eligible replica";
    if (choice.next >= 0)
      reason = "least tokens pending: " + with_commas(choice.pending) + " (next " + with_commas(choice.next) + ")";
    return weft::Decision{.replica = last_, .reason = std::move(reason)};
  }

  void observe(const weft::Event& event, weft::Time now) override { ledger_.observe(event, now); }
  void* query(std::string_view) override { return nullptr; }

 private:
  struct Choice {
    const weft::ReplicaView* best = nullptr;
    std::int64_t pending = 0;  // of the best
    std::int64_t next = -1;    // of the second best; -1: there is none
  };

  // One pass: table and loads both ascend by id.
  Choice choose(const weft::ReplicaTable& table, weft::Time now) const {
    Choice choice;
    auto load = ledger_.loads().begin();
    const auto end = ledger_.loads().end();
    for (const weft::ReplicaView& replica : table.replicas) {
      while (load != end && load->id < replica.id)
        ++load;
      if (!replica.eligible) continue;
      // A later incarnation than the one charged starts empty.
      const bool known = load != end && load->id == replica.id && load->incarnation >= replica.incarnation;
      const std::int64_t pending = known ? load->pending(now) : 0;
      const bool less = choice.best == nullptr || pending < choice.pending;
      const bool next_in_turn = !less && pending == choice.pending && choice.best->id <= last_ && replica.id > last_;
      if (less || next_in_turn) {
        if (choice.best != nullptr) choice.next = choice.pending;
        choice.best = &replica;
        choice.pending = pending;
      } else if (choice.next < 0 || pending < choice.next) {
        choice.next = pending;
      }
    }
    return choice;
  }

  TokenLedger ledger_;
  weft::ReplicaId last_ = -1;
};

constexpr std::array options{
    weft::OptionSpec{"stats_ttl", weft::OptionSpec::Type::duration, "\"5s\"", "100ms..10m",
                     "How long a leader's figures about other routers' requests count when no newer ones come."}};

weft::Result<std::unique_ptr<weft::LoadBalancer>> create(const weft::PluginOptions& values, weft::HostServices&) {
  const std::chrono::nanoseconds stats_ttl(values.get<std::int64_t>("stats_ttl"));
  return std::make_unique<LeastLoaded>(std::chrono::duration_cast<weft::Duration>(stats_ttl));
}

}  // namespace

WEFT_PLUGIN(weft::LoadBalancer,
            {.name = "least_loaded",
             .version = "0.1.0",
             .summary = "gives each request to the replica with the fewest tokens left to prefill and decode",
             .options = options,
             .create = create})
