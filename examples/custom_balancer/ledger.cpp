#include "ledger.h"

#include <algorithm>
#include <chrono>

namespace weighted {
namespace {

using weft::Event;
using weft::ReplicaId;
using weft::RequestId;

std::int64_t not_negative(std::int32_t tokens) { return std::max(tokens, 0); }

std::vector<Account>::iterator place_of(std::vector<Account>& accounts, ReplicaId id) {
  return std::lower_bound(accounts.begin(), accounts.end(), id,
                          [](const Account& account, ReplicaId wanted) { return account.id < wanted; });
}

}  // namespace

Account* Ledger::find(ReplicaId replica) {
  const auto at = place_of(accounts_, replica);
  return at == accounts_.end() || at->id != replica ? nullptr : &*at;
}

// The replica's account, empty where this incarnation is later than what is known.
Account& Ledger::reach(ReplicaId replica, std::int64_t incarnation) {
  Account* account = find(replica);
  if (account == nullptr)
    account = &*accounts_.insert(place_of(accounts_, replica), Account{.id = replica, .requests = {}});
  if (incarnation > account->incarnation) {
    clear(*account);
    account->incarnation = incarnation;
    account->left = false;
  }
  return *account;
}

// The charge that the event is about: it is on that replica, in the incarnation that lives there.
Ledger::Charge* Ledger::current(const Event& event) {
  const auto found = charges_.find(event.request);
  if (found == charges_.end() || found->second.replica != event.replica) return nullptr;
  const Account* const account = find(event.replica);
  return account != nullptr && account->incarnation == event.incarnation ? &found->second : nullptr;
}

void Ledger::put(RequestId request, Charge charge, Account& account) {
  charge.replica = account.id;
  account.pending += charge.pending();
  account.requests.insert(request);
  charges_.insert_or_assign(request, charge);
}

void Ledger::remove(RequestId request) {
  const auto found = charges_.find(request);
  if (found == charges_.end()) return;
  if (Account* const account = find(found->second.replica)) {
    account->pending -= found->second.pending();
    account->requests.erase(request);
  }
  charges_.erase(found);
}

void Ledger::clear(Account& account) {
  for (const RequestId request : account.requests)
    charges_.erase(request);
  account.requests.clear();
  account.pending = 0;
}

std::int64_t Ledger::cost_of(const weft::RequestView& request) noexcept {
  return not_negative(request.prompt_tokens) + std::max<std::int64_t>(1, not_negative(request.max_tokens));
}

void Ledger::charge(const weft::RequestView& request, ReplicaId replica, std::int64_t incarnation) {
  remove(request.id);
  Account& account = reach(replica, incarnation);
  account.left = false;
  const std::int64_t prompt = not_negative(request.prompt_tokens);
  put(request.id, {.prompt = prompt, .decode = cost_of(request) - prompt}, account);
}

Pace Ledger::observe(const Event& event, weft::Time now) {
  switch (event.kind) {
    case Event::Kind::dispatched: dispatched(event); break;
    case Event::Kind::first_token:
    case Event::Kind::progress: return progress(event, now);
    case Event::Kind::finished:
      if (current(event) != nullptr) remove(event.request);
      break;
    case Event::Kind::dropped:  // by a router that may have forgotten where it was
      if (event.replica < 0 || current(event) != nullptr) remove(event.request);
      break;
    case Event::Kind::joined: joined(event); break;
    case Event::Kind::left: left(event); break;
    case Event::Kind::stats: break;  // the charges say as much
  }
  return {};
}

// The router knows best where a request is. One that nobody picked for, or that has ended, is not charged anew: its end may
// have been and would never come again.
void Ledger::dispatched(const Event& event) {
  const auto found = charges_.find(event.request);
  if (found == charges_.end() || event.replica < 0) return;
  const Account* const known = find(event.replica);
  if (known != nullptr &&
      (event.incarnation < known->incarnation || (known->left && event.incarnation == known->incarnation)))
    return;
  if (Charge* const here = current(event); here != nullptr && (here->confirmed || here->generated > 0)) {
    here->confirmed = true;
    return;
  }
  Charge charge{.prompt = found->second.prompt, .decode = found->second.decode, .confirmed = true};
  if (event.prompt_tokens > 0) charge.prompt = event.prompt_tokens;
  if (event.max_tokens > 0) charge.decode = event.max_tokens;
  remove(event.request);
  put(event.request, charge, reach(event.replica, event.incarnation));
}

Pace Ledger::progress(const Event& event, weft::Time now) {
  Charge* const charge = current(event);
  if (charge == nullptr) return {};
  const std::int64_t told =
      event.kind == Event::Kind::first_token ? std::max(event.generated, 1) : not_negative(event.generated);
  const std::int64_t generated = std::min(told, charge->decode);
  if (told <= charge->generated) return {};
  Pace pace;
  // The first token waited for a queue and a prompt; those after it tell the replica's pace.
  if (charge->generated > 0 && now > charge->heard)
    pace = {.replica = event.replica,
            .seconds_a_token = std::chrono::duration<double>(now - charge->heard).count() /
                               static_cast<double>(told - charge->generated)};
  Account& account = *find(event.replica);
  account.pending -= charge->pending();
  charge->prompt = 0;
  charge->generated = generated;
  charge->heard = now;
  account.pending += charge->pending();
  return pace;
}

void Ledger::joined(const Event& event) {
  if (event.replica < 0) return;
  Account& account = reach(event.replica, event.incarnation);
  if (event.incarnation == account.incarnation) account.left = false;
}

void Ledger::left(const Event& event) {
  Account* const account = find(event.replica);
  if (account == nullptr || event.incarnation < account->incarnation) return;
  account->incarnation = event.incarnation;
  account->left = true;
  clear(*account);
}

}  // namespace weighted
