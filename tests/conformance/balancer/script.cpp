#include "tests/conformance/balancer/script.h"

#include <fmt/format.h>

#include <algorithm>

namespace weft::conformance {
namespace {

class Script {
 public:
  Script(Context& context, const ScriptOptions& options)
      : options_(options), fleet_(context, 0), progress_{.fleet = fleet_}, random_(options.seed) {
    fleet_.now += options.later;
    for (ReplicaId id = 0; id < options.replicas; ++id)
      fleet_.join(id, options.incarnation);
    progress_.stats_sequences.resize(static_cast<std::size_t>(options.replicas), 0);
  }

  std::vector<ReplicaId> run() {
    for (progress_.step = 0; progress_.step < options_.steps; ++progress_.step) {
      fleet_.now += std::chrono::milliseconds(below(50));
      submit();
      if (below(2) == 0) advance();
      if (below(3) != 0) finish();
      if (below(4) == 0) report();
      if (options_.meddle) options_.meddle(progress_);
    }
    return std::move(decisions_);
  }

 private:
  std::int32_t below(std::int32_t limit) {
    return static_cast<std::int32_t>(random_() % static_cast<std::uint64_t>(limit));
  }
  Live* any() {
    auto& live = progress_.live;
    return live.empty() ? nullptr : &live[random_() % live.size()];
  }
  void submit() {
    const Ask ask{.id = ++next_id_, .prompt = 1 + below(500), .max_tokens = 1 + below(500)};
    const ReplicaId replica = fleet_.pick(ask);
    decisions_.push_back(replica);
    fleet_.dispatched(ask, replica);
    progress_.live.push_back({.id = ask.id, .replica = replica, .max_tokens = ask.max_tokens});
  }
  void advance() {
    Live* const live = any();
    if (live == nullptr) return;
    const bool first = live->generated == 0;
    live->generated = std::min(live->max_tokens, live->generated + 1 + below(50));
    fleet_.observe({.kind = first ? Event::Kind::first_token : Event::Kind::progress,
                    .replica = live->replica,
                    .incarnation = options_.incarnation,
                    .request = live->id,
                    .generated = live->generated});
  }
  void finish() {
    Live* const live = any();
    if (live == nullptr) return;
    fleet_.finished(live->id, live->replica, live->generated);
    progress_.ended.push_back(*live);
    *live = progress_.live.back();
    progress_.live.pop_back();
  }
  void report() {
    const ReplicaId replica = below(options_.replicas);
    std::uint64_t& sequence = progress_.stats_sequences[static_cast<std::size_t>(replica)];
    sequence += 1 + static_cast<std::uint64_t>(below(3));
    fleet_.observe({.kind = Event::Kind::stats,
                    .replica = replica,
                    .incarnation = options_.incarnation,
                    .waiting = below(9),
                    .running = below(9),
                    .pending_prefill_tokens = below(2000),
                    .kv_usage = below(100) / 100.0,
                    .stats_sequence = sequence});
  }

  const ScriptOptions& options_;
  Fleet fleet_;
  Progress progress_;
  std::mt19937_64 random_;
  RequestId next_id_ = 0;
  std::vector<ReplicaId> decisions_;
};

}  // namespace

std::vector<ReplicaId> run_script(Context& context, const ScriptOptions& options) {
  return Script(context, options).run();
}

void expect_same_picks(Context& context, const std::vector<ReplicaId>& expected, const std::vector<ReplicaId>& found,
                       std::string_view with, std::string_view remedy) {
  const auto differs = std::mismatch(expected.begin(), expected.end(), found.begin(), found.end());
  if (differs.first == expected.end() && differs.second == found.end()) return;
  if (differs.first == expected.end() || differs.second == found.end())
    context.fail(
        fmt::format("{} picks where {}, expected {} as without: {}", found.size(), with, expected.size(), remedy));
  context.fail(fmt::format("pick {} of {} went to replica {} where {}, expected {} as without: {}",
                           differs.first - expected.begin() + 1, expected.size(), *differs.second, with, *differs.first,
                           remedy));
}

void expect_ignored(Context& context, const std::function<void(Progress&)>& junk, std::string_view what,
                    const std::function<void(Progress&)>& calm) {
  for (int round = 0; round < 4; ++round) {
    ScriptOptions options{.seed = context.random()()};
    options.meddle = calm;
    const auto without = run_script(context, options);
    options.meddle = [&](Progress& progress) {
      if (calm) calm(progress);
      junk(progress);
    };
    const auto with = run_script(context, options);
    expect_same_picks(context, without, with, fmt::format("the balancer was told {}", what), "ignore them");
  }
}

}  // namespace weft::conformance
