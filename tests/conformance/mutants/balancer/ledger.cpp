#include "tests/conformance/mutants/balancer/ledger.h"

#include <algorithm>
#include <cmath>

#include "tests/conformance/mutants/switch.h"

namespace weft::mutant {
namespace {

constexpr std::chrono::seconds figures_hold{10};
constexpr double tokens_of_a_request = 100;
constexpr double tokens_of_a_full_cache = 1000;
constexpr double most_foreign = 1e12;

std::int64_t positive(std::int32_t tokens) { return std::max<std::int64_t>(0, tokens); }

bool makes_sense(const Event& stats) {
  const bool negative =
      stats.waiting < 0 || stats.running < 0 || stats.pending_prefill_tokens < 0 || stats.kv_usage < 0;
  if (negative && !breaks("negative_counts")) return false;
  return std::isfinite(stats.kv_usage) || breaks("nan_counts");
}

Time own_clock() { return Clock::now(); }

Time after(Time now, Duration time) { return now > Time::max() - time ? Time::max() : now + time; }

}  // namespace

double Ledger::load(const ReplicaView& row, Time now) const {
  const auto found = accounts_.find(row.id);
  if (found == accounts_.end() || found->second.incarnation < row.incarnation) return 0;
  const Account& account = found->second;
  auto tokens = static_cast<double>(account.tokens);
  if (breaks("saturates")) tokens = std::min(tokens, 200'000.0);
  if (breaks("charges_expire") && now > after(account.charged_at, std::chrono::hours(1))) tokens = 0;
  const Time clock = breaks("own_clock") ? own_clock() : now;
  const bool holds = clock < account.foreign_until || breaks("stats_never_expire");
  return tokens + (holds ? account.foreign : 0);
}

void Ledger::charge(const RequestView& request, const ReplicaView& row, Time now) {
  const auto found = charges_.find(request.id);
  const bool again = found != charges_.end() && found->second.replica == row.id;
  const bool stays = breaks("second_pick_adds") || (breaks("repeat_adds") && again);
  if (!stays) end(request.id);
  Account& account = open(row.id, row.incarnation);
  account.charged_at = now;
  Charge charge{.replica = row.id,
                .prompt = positive(request.prompt_tokens),
                .decode = std::max<std::int64_t>(1, positive(request.max_tokens)),
                .counted = !breaks("charges_at_dispatch")};
  if (breaks("charges_the_root")) charge.prompt = std::llround(std::sqrt(charge.prompt)), charge.decode = 1;
  charge.most = charge.decode;
  if (charge.counted) add(account, charge.tokens());
  account.requests.insert(request.id);
  charges_.insert_or_assign(request.id, charge);
}

void Ledger::observe(const Event& event, Time now) {
  switch (event.kind) {
    case Event::Kind::dispatched: return on_dispatched(event);
    case Event::Kind::first_token:
    case Event::Kind::progress: return on_progress(event);
    case Event::Kind::finished:
    case Event::Kind::dropped: return on_end(event);
    case Event::Kind::stats: return on_stats(event, now);
    case Event::Kind::joined: return on_joined(event);
    case Event::Kind::left: return on_left(event);
  }
  if (breaks("unknown_kinds_end")) end(event.request);
}

Account* Ledger::account_of(const Event& event) {
  const auto found = accounts_.find(event.replica);
  return found == accounts_.end() || found->second.incarnation != event.incarnation ? nullptr : &found->second;
}

Ledger::Charge* Ledger::charge_of(const Event& event) {
  const auto found = charges_.find(event.request);
  if (found == charges_.end()) {
    on_unknown(event);
    return nullptr;
  }
  if (breaks("any_replica_ends")) return &found->second;
  return found->second.replica == event.replica && account_of(event) != nullptr ? &found->second : nullptr;
}

// Events of requests that this ledger has not, or no more.
void Ledger::on_unknown(const Event& event) {
  if (breaks("remembers_unknown")) remembered_.insert(event.request);
  Account* const account = account_of(event);
  if (account == nullptr) return;
  if (breaks("ends_twice") && event.kind == Event::Kind::finished) account->tokens -= 100;
  if (breaks("charges_unknown") && event.kind == Event::Kind::dispatched)
    charge({.id = event.request, .prompt_tokens = event.prompt_tokens, .max_tokens = event.max_tokens},
           {.id = event.replica, .incarnation = event.incarnation}, account->charged_at);
}

// The replica's account in this incarnation, or the later one that is known.
Account& Ledger::open(ReplicaId id, std::int64_t incarnation) {
  const auto [at, made] =
      accounts_.try_emplace(id, Account{.incarnation = incarnation, .requests = {}, .sequence = {}});
  Account& account = at->second;
  if (made || account.incarnation >= incarnation) return account;
  if (breaks("remembers_incarnations")) old_incarnations_.emplace(account.incarnation, account);
  const std::int64_t kept = breaks("incarnation_keeps_charges") ? account.tokens : 0;
  close(account);
  account = Account{.incarnation = incarnation, .tokens = kept, .requests = {}, .sequence = {}};
  return account;
}

void Ledger::add(Account& account, std::int64_t tokens) const {
  account.tokens += tokens;
  if (breaks("counts_in_32_bits"))
    account.tokens = static_cast<std::int32_t>(static_cast<std::uint32_t>(account.tokens));
}

// Takes the request's charge off, wherever it is.
void Ledger::end(RequestId request) {
  const auto found = charges_.find(request);
  if (found == charges_.end()) return;
  if (const auto account = accounts_.find(found->second.replica); account != accounts_.end()) {
    if (found->second.counted) add(account->second, -found->second.tokens());
    account->second.requests.erase(request);
  }
  charges_.erase(found);
  if (breaks("remembers_requests")) remembered_.insert(request);
}

// Takes all charges off.
void Ledger::close(Account& account) {
  for (const RequestId request : account.requests)
    charges_.erase(request);
  account.requests.clear();
  account.tokens = 0;
}

void Ledger::on_dispatched(const Event& event) {
  Charge* const charge = charge_of(event);
  if (charge == nullptr) return;
  charge->dispatched = true;
  if (!charge->counted) add(*account_of(event), charge->tokens());
  charge->counted = true;
  if (!breaks("dispatched_charges")) return;
  charge->prompt += charge->most;
  add(*account_of(event), charge->most);
}

void Ledger::on_progress(const Event& event) {
  Charge* const charge = charge_of(event);
  if (charge == nullptr) return;
  if (event.generated <= charge->generated && !breaks("progress_goes_back")) return;
  const std::int64_t before = charge->tokens();
  charge->prompt = 0;
  charge->decode = std::max<std::int64_t>(0, charge->most - event.generated);
  charge->generated = event.generated;
  if (charge->counted) add(accounts_.at(charge->replica), charge->tokens() - before);
}

void Ledger::on_end(const Event& event) {
  if (event.kind == Event::Kind::dropped && event.replica < 0) {
    if (!breaks("drop_wants_its_replica")) end(event.request);
    return;
  }
  Charge* const charge = charge_of(event);
  if (charge == nullptr) return;
  const bool finished = event.kind == Event::Kind::finished;
  if (breaks("forgets_finished") && finished) return;
  if (breaks("keeps_dispatched_drops") && !finished && charge->dispatched) return;
  if (breaks("keeps_unused_tokens") && finished)
    add(accounts_.at(charge->replica), std::max<std::int64_t>(0, charge->most - event.generated));
  if (breaks("ends_double_on_the_first") && event.replica == 0) add(accounts_.at(0), -charge->tokens());
  end(event.request);
}

void Ledger::on_stats(const Event& event, Time now) {
  Account* account = account_of(event);
  if (breaks("old_stats_count") && accounts_.contains(event.replica)) account = &accounts_.at(event.replica);
  if (account == nullptr) return;
  const bool late = account->sequence && event.stats_sequence <= *account->sequence;
  if (late && !breaks("late_stats_count")) return;
  if (breaks("junk_moves_sequence")) account->sequence = event.stats_sequence;
  if (!makes_sense(event)) return;
  account->sequence = event.stats_sequence;
  const double more =
      static_cast<double>(event.waiting) + event.running - static_cast<double>(account->requests.size());
  account->foreign = tokens_of_a_request * std::max(0.0, more) + static_cast<double>(event.pending_prefill_tokens) +
                     tokens_of_a_full_cache * event.kv_usage;
  if (account->foreign > most_foreign) account->foreign = most_foreign;
  account->foreign_until = after(breaks("own_clock") ? own_clock() : now, figures_hold);
  if (breaks("deaf")) account->foreign = 0;
}

void Ledger::on_joined(const Event& event) {
  if (event.replica < 0) return;
  const bool known = accounts_.contains(event.replica);
  if (breaks("old_join_resets") && known && accounts_.at(event.replica).incarnation > event.incarnation)
    close(accounts_.at(event.replica));
  Account& account = open(event.replica, event.incarnation);
  if (breaks("join_again_resets") && account.incarnation == event.incarnation) close(account);
  if (breaks("newcomers_wait") && !known && !charges_.empty()) account.tokens += 1'000'000'000;
  if (const auto saved = saved_.find(event.replica); saved != saved_.end()) account.tokens += saved->second;
}

void Ledger::on_left(const Event& event) {
  Account* account = account_of(event);
  if (breaks("old_left_counts") && accounts_.contains(event.replica)) account = &accounts_.at(event.replica);
  if (account == nullptr) {
    if (breaks("unknown_left_clears") && !accounts_.contains(event.replica)) {
      for (auto& [id, other] : accounts_)
        close(other);
    }
    return;
  }
  if (breaks("left_saves_charges")) saved_[event.replica] = account->tokens;
  close(*account);
}

}  // namespace weft::mutant
