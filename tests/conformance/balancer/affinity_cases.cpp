// Hints: the client's session and the prompt's prefix.
#include <fmt/format.h>

#include <array>

#include "tests/conformance/balancer/fleet.h"
#include "tests/conformance/balancer/groups.h"

namespace weft::conformance {
namespace {

std::array<BlockHash, 16> prefix(std::uint64_t of) {
  std::array<BlockHash, 16> hashes{};
  BlockHash previous = block_hash_seed;
  const TokenId token[] = {static_cast<TokenId>(of)};
  for (BlockHash& hash : hashes)
    hash = previous = next_block_hash(previous, token);
  return hashes;
}

void undeclared_hints(Context& context) {
  const bool session = context.declares("session_affinity");
  const bool shared_prefix = context.declares("prefix_affinity");
  if (session && shared_prefix) context.skip("both kinds of affinity are declared");
  Fleet fleet(context, 5), untold(context, 5);
  const auto hashes = prefix(1);
  std::map<ReplicaId, int> counts;
  for (RequestId id = 1; id <= 1000; ++id) {
    Ask ask{.id = id, .max_tokens = static_cast<std::int32_t>(1 + id * 37 % 300)};
    const ReplicaId without = untold.pick(ask);
    if (!session) ask.affinity = "one and the same user";
    if (!shared_prefix) ask.hashes = hashes;
    const ReplicaId replica = fleet.pick(ask);
    context.expect(replica == without,
                   fmt::format("request {} went to replica {}, and to {} without its hint", id, replica, without));
    ++counts[replica];
  }
  expect_spread(context, counts, 5, "1000 requests with one hint of a kind that is not declared");
}

void hints_bend_no_rule(Context& context) {
  Fleet fleet(context, 6);
  auto& random = context.random();
  const auto hashes = prefix(9);
  for (RequestId id = 1; id <= 2000; ++id) {
    for (ReplicaView& row : fleet.table)
      row.eligible = random() % 2 == 0;
    fleet.table[random() % fleet.table.size()].eligible = true;
    std::string hint(random() % 300, '\0');
    for (char& letter : hint)
      letter = static_cast<char>(random());
    fleet.pick({.id = id,
                .affinity = random() % 3 == 0 ? std::string_view("same") : std::string_view(hint),
                .hashes = std::span<const BlockHash>(hashes).first(random() % 17)});
  }
}

// Each of `hints` asked once; where they went. All end at once, so that load stays even.
std::vector<ReplicaId> ask_all(Fleet& fleet, int hints, RequestId& next, bool by_prefix) {
  std::vector<ReplicaId> where;
  for (int hint = 0; hint < hints; ++hint) {
    const std::string name = fmt::format("session {}", hint);
    const auto hashes = prefix(static_cast<std::uint64_t>(hint) + 1);
    Ask ask{.id = next++};
    if (by_prefix)
      ask.hashes = hashes;
    else
      ask.affinity = name;
    where.push_back(fleet.pick(ask));
    fleet.dispatched(ask, where.back());
    fleet.finished(ask.id, where.back());
  }
  return where;
}

int moved(const std::vector<ReplicaId>& from, const std::vector<ReplicaId>& to) {
  int count = 0;
  for (std::size_t i = 0; i < from.size(); ++i)
    count += from[i] != to[i] ? 1 : 0;
  return count;
}

void hints_stick(Context& context, bool by_prefix) {
  constexpr int hints = 200;
  Fleet fleet(context, 8);
  RequestId next = 1;
  const auto first = ask_all(fleet, hints, next, by_prefix);
  for (int round = 0; round < 4; ++round) {
    const int away = moved(first, ask_all(fleet, hints, next, by_prefix));
    context.expect(away <= hints / 10,
                   fmt::format("{} of {} hints went elsewhere the next time, at most a tenth", away, hints));
  }
  std::map<ReplicaId, int> counts;
  for (const ReplicaId replica : first)
    ++counts[replica];
  expect_spread(context, counts, 8, "200 hints");
}

void few_move(Context& context, bool by_prefix) {
  constexpr int hints = 400;
  Fleet fleet(context, 8);
  RequestId next = 1;
  const auto before = ask_all(fleet, hints, next, by_prefix);
  fleet.leave(3);
  const auto without = ask_all(fleet, hints, next, by_prefix);
  int others = 0;
  for (std::size_t i = 0; i < before.size(); ++i)
    others += before[i] != 3 && before[i] != without[i] ? 1 : 0;
  context.expect(others <= hints / 8,
                 fmt::format("one of 8 replicas left, and {} of {} hints of the others moved, at most {}", others,
                             hints, hints / 8));
  fleet.join(8, 1);
  const int away = moved(without, ask_all(fleet, hints, next, by_prefix));
  context.expect(away <= hints * 3 / 8, fmt::format("an eighth replica joined and {} of {} hints moved, at most {}",
                                                    away, hints, hints * 3 / 8));
}

void sessions_stick(Context& context) { hints_stick(context, false); }
void few_sessions_move(Context& context) { few_move(context, false); }
void prefixes_stick(Context& context) { hints_stick(context, true); }
void few_prefixes_move(Context& context) { few_move(context, true); }

constexpr Case affinity_rules[] = {
    {.id = "LB-80",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a hint of a kind that the balancer does not declare is ignored: every decision is as without it, and "
              "requests that share it spread",
     .rationale = "Clients send hints whatever balancer is behind.",
     .body = undeclared_hints},
    {.id = "LB-81",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a hint is never a command: with any bytes and any hashes only eligible replicas are picked",
     .rationale = "The hint is the client's, and hostile.",
     .body = hints_bend_no_rule},
    {.id = "LB-82",
     .level = Level::must,
     .needs = "cap:session_affinity",
     .since = "1",
     .title = "a session goes where it went before, nine times of ten at even load, and sessions spread",
     .rationale = "What session_affinity claims.",
     .body = sessions_stick},
    {.id = "LB-83",
     .level = Level::must,
     .needs = "cap:session_affinity",
     .since = "1",
     .title = "a replica that leaves or joins moves few sessions: one of eight leaving at most an eighth of the "
              "others', one joining at most three eighths",
     .rationale = "Every session that moves computes its prompt again.",
     .body = few_sessions_move},
    {.id = "LB-84",
     .level = Level::must,
     .needs = "cap:prefix_affinity",
     .since = "1",
     .title =
         "requests with the same prefix go to the same replica, nine times of ten at even load, and prefixes spread",
     .rationale = "What prefix_affinity claims.",
     .body = prefixes_stick},
    {.id = "LB-85",
     .level = Level::must,
     .needs = "cap:prefix_affinity",
     .since = "1",
     .title = "a replica that leaves or joins moves few prefixes: the bounds of sessions",
     .rationale = "A prefix that moves is computed again.",
     .body = few_prefixes_move},
};

}  // namespace

std::span<const Case> affinity_cases() { return affinity_rules; }

}  // namespace weft::conformance
