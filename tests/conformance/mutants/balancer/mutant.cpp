// A balancer that weighs tokens and keeps sessions and prefixes where they were; of those rules it breaks the one that
// WEFT_MUTANT names. Written for that alone: it shares nothing with the balancers that Weft ships.
#include <time.h>
#include <weft/load_balancer.h>
#include <weft/plugin.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/conformance/mutants/balancer/choice.h"
#include "tests/conformance/mutants/balancer/ledger.h"
#include "tests/conformance/mutants/switch.h"

namespace {

using namespace weft::mutant;
using weft::Decision;
using weft::ErrorCode;
using weft::ReplicaId;
using weft::ReplicaTable;
using weft::ReplicaView;
using weft::RequestView;
using weft::Time;

#ifdef MUTANT_PLAIN
constexpr bool with_affinity = false;
#else
constexpr bool with_affinity = true;
#endif

std::atomic<int> alive{0};

void burn(std::chrono::nanoseconds time) {
  const auto cpu = [] {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  };
  for (const auto end = cpu() + time; cpu() < end;) {
  }
}

// A thread that does nothing, joined in time: only that it is there is wrong.
class Idler {
 public:
  Idler()
      : thread_([this] {
          std::unique_lock lock(mutex_);
          ended_.wait(lock, [this] { return end_; });
        }) {}
  ~Idler() {
    {
      const std::lock_guard lock(mutex_);
      end_ = true;
    }
    ended_.notify_all();
    thread_.join();
  }

 private:
  std::mutex mutex_;  // guards end_
  std::condition_variable ended_;
  bool end_ = false;
  std::thread thread_;
};

class Balancer final : public weft::LoadBalancer {
 public:
  explicit Balancer(weft::HostServices& host) : host_(host), chooser_(ledger_, with_affinity) {
    ++alive;
    if (breaks("has_a_thread")) idler_ = std::make_unique<Idler>();
  }
  ~Balancer() override { --alive; }

  weft::Result<Decision> pick(const RequestView& request, const ReplicaTable& table, Time now) override {
    misbehave(request, table);
    if (breaks("refuses_the_past") && now < latest_)
      return weft::fail(ErrorCode::invalid_argument, "time went backwards");
    latest_ = now;
    if (breaks("rows_must_be_sane"))
      for (const ReplicaView& row : table.replicas)
        if (!(row.kv_usage >= 0)) return weft::fail(ErrorCode::invalid_argument, "a row's kv_usage is wrong");
    if (breaks("shares_its_turn") && alive > 1) chooser_.turn_to(0);
    const bool by_events = breaks("picks_by_events") || breaks("forgets_who_left");
    if (by_events && !present_.empty()) return pick_by_events(request, table, now);
    const Choice choice = chooser_.choose(request, table, now);
    if (choice.row == nullptr || refuses(*choice.row, table, now)) return none_for(request, table, now);
    ledger_.charge(request, *choice.row, now);
    chooser_.turn_to(choice.row->id);
    const ReplicaId row = static_cast<ReplicaId>(choice.row - table.replicas.data());
    return Decision{.replica = breaks("ids_are_rows") ? row : choice.row->id, .reason = reason(choice, request)};
  }

  void observe(const weft::Event& event, Time now) override {
    ledger_.observe(event, now);
    if (event.kind == weft::Event::Kind::left && breaks("forgets_who_left")) return;
    if (event.kind == weft::Event::Kind::joined) present_[event.replica] = event.incarnation;
    if (event.kind == weft::Event::Kind::left) present_.erase(event.replica);
    if (breaks("late_left_removes") && event.kind == weft::Event::Kind::left) gone_ = event.replica;
  }

  void* query(std::string_view id) override {
    return breaks("answers_query") && id == "weft.no_such_interface/1" ? this : nullptr;
  }

 private:
  // What has nothing to do with whom it picks.
  void misbehave(const RequestView& request, const ReplicaTable& table) {
    if (breaks("logs_every_pick")) host_.log(weft::LogLevel::info, "picked");
    if (breaks("slow_among_many") && table.replicas.size() >= 1000 && request.id % 50 == 0)
      burn(scaled(std::chrono::milliseconds(2)));
    if (breaks("dies_in_an_empty_table") && table.replicas.empty()) std::abort();
  }

  bool refuses(const ReplicaView& row, const ReplicaTable& table, Time now) const {
    if (breaks("refuses_the_busy")) return ledger_.load(row, now) > 5e6;
    if (breaks("late_left_removes")) return row.id == gone_;
    const auto free = std::count_if(table.replicas.begin(), table.replicas.end(),
                                    [](const ReplicaView& one) { return one.eligible; });
    return breaks("wants_half_the_house") && free * 2 < static_cast<std::ptrdiff_t>(table.replicas.size());
  }

  weft::Result<Decision> none_for(const RequestView& request, const ReplicaTable& table, Time now) {
    if (breaks("failed_pick_charges") && !table.replicas.empty()) ledger_.charge(request, table.replicas.front(), now);
    const ErrorCode code = breaks("none_is_internal") ? ErrorCode::internal : ErrorCode::unavailable;
    return weft::fail(code, breaks("none_without_message") ? "" : "no replica is eligible", !breaks("none_is_final"));
  }

  // Whoever joined and has not left; who is not in the table is taken for eligible.
  weft::Result<Decision> pick_by_events(const RequestView& request, const ReplicaTable& table, Time now) {
    std::vector<ReplicaView> rows;
    for (const auto& [id, incarnation] : present_) {
      const auto found = std::lower_bound(table.replicas.begin(), table.replicas.end(), id,
                                          [](const ReplicaView& row, ReplicaId wanted) { return row.id < wanted; });
      const bool gone = found == table.replicas.end() || found->id != id;
      rows.push_back(gone ? ReplicaView{.id = id, .incarnation = incarnation, .eligible = true} : *found);
    }
    const Choice choice = chooser_.choose(request, {.replicas = rows}, now);
    if (choice.row == nullptr) return none_for(request, {}, now);
    ledger_.charge(request, *choice.row, now);
    chooser_.turn_to(choice.row->id);
    return Decision{.replica = choice.row->id, .reason = choice.reason};
  }

  static std::string reason(const Choice& choice, const RequestView& request) {
    if (breaks("no_reason")) return {};
    if (breaks("reason_repeats_hint")) return "session " + std::string(request.affinity);
    if (breaks("reason_is_long")) return std::string(201, 'x');
    if (breaks("reason_has_lines")) return choice.reason + "\n";
    return choice.reason;
  }

  weft::HostServices& host_;
  Ledger ledger_;
  Chooser chooser_;
  Time latest_ = Time::min();
  std::map<ReplicaId, std::int64_t> present_;
  ReplicaId gone_ = -1;
  std::unique_ptr<Idler> idler_;
};

weft::Result<std::unique_ptr<weft::LoadBalancer>> create(const weft::PluginOptions&, weft::HostServices& host) {
  return std::make_unique<Balancer>(host);
}

constexpr const char* capabilities[] = {"session_affinity", "prefix_affinity"};

}  // namespace

WEFT_PLUGIN(weft::LoadBalancer, {.name = MUTANT_NAME,
                                 .version = "1.0.0",
                                 .summary = "breaks a rule of balancers",
                                 .capabilities = std::span(capabilities).first(with_affinity ? 2 : 0),
                                 .create = &create})
