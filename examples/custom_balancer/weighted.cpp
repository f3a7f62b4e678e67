#include "weighted.h"

#include <string>

namespace weighted {
namespace {

// 12.34 -> "12.3", whatever the process's locale says about points.
std::string with_one_decimal(double value) {
  const auto tenths = static_cast<std::int64_t>(value * 10 + 0.5);
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10);
}

}  // namespace

weft::Result<weft::Decision> Weighted::pick(const weft::RequestView& request, const weft::ReplicaTable& table,
                                            weft::Time) {
  const Choice choice = choose(table, static_cast<double>(Ledger::cost_of(request)));
  if (choice.best == nullptr)
    return weft::fail(weft::ErrorCode::unavailable,
                      "none of " + std::to_string(table.replicas.size()) + " replicas is eligible", true);
  last_ = choice.best->id;
  ledger_.charge(request, choice.best->id, choice.best->incarnation);
  return weft::Decision{.replica = last_,
                        .reason = "done first: after " + with_one_decimal(choice.done) +
                                  " tokens at speed 1; its speed is " + with_one_decimal(speeds_.of(last_))};
}

// One pass: the table and the accounts both ascend by id.
Weighted::Choice Weighted::choose(const weft::ReplicaTable& table, double cost) const {
  Choice choice;
  auto account = ledger_.accounts().begin();
  const auto end = ledger_.accounts().end();
  for (const weft::ReplicaView& replica : table.replicas) {
    while (account != end && account->id < replica.id)
      ++account;
    if (!replica.eligible) continue;
    // A later incarnation than the one charged starts empty.
    const bool known = account != end && account->id == replica.id && account->incarnation >= replica.incarnation;
    const double pending = known ? static_cast<double>(account->pending) : 0;
    const double done = (pending + cost) / speeds_.of(replica.id);
    const bool sooner = choice.best == nullptr || done < choice.done;
    // Equals take turns, from the one after the last pick on.
    const bool next = !sooner && done == choice.done && choice.best->id <= last_ && replica.id > last_;
    if (sooner || next) choice = {.best = &replica, .done = done};
  }
  return choice;
}

void Weighted::observe(const weft::Event& event, weft::Time now) {
  const Pace pace = ledger_.observe(event, now);
  if (pace.replica >= 0) speeds_.measured(pace.replica, pace.seconds_a_token);
}

}  // namespace weighted
