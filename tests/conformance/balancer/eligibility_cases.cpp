// Who may be picked, and what is said.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "tests/conformance/balancer/groups.h"
#include "tests/conformance/balancer/script.h"

namespace weft::conformance {
namespace {

void picks_only_eligible(Context& context) {
  Fleet fleet(context, 16);
  auto& random = context.random();
  for (RequestId id = 1; id <= 5000; ++id) {
    for (ReplicaView& row : fleet.table)
      row.eligible = random() % 3 != 0;
    fleet.table[random() % fleet.table.size()].eligible = true;
    const Ask ask{.id = id, .prompt = static_cast<std::int32_t>(random() % 1000)};
    const ReplicaId replica = fleet.pick(ask);
    fleet.dispatched(ask, replica);
    if (random() % 2 == 0) fleet.finished(id, replica);
  }
}

constexpr std::string_view none_to_pick =
    "expected the error unavailable, retryable, with a message, for the router to ask again: return "
    "weft::fail(weft::ErrorCode::unavailable, \"...\", true)";

void expect_unavailable(Context& context, const Result<Decision>& decision, std::string_view what) {
  if (decision) context.fail(fmt::format("{} went to replica {}, {}", what, decision->replica, none_to_pick));
  const Error& error = decision.error();
  if (error.code != ErrorCode::unavailable || !error.retryable || error.message.empty())
    context.fail(fmt::format("{} failed with code {}, {}retryable, message '{}', {}", what, weft::to_string(error.code),
                             error.retryable ? "" : "not ", error.message, none_to_pick));
}

void none_eligible(Context& context) {
  Fleet fleet(context, 3);
  for (RequestId id = 1; id <= 50; ++id) {
    for (ReplicaView& row : fleet.table)
      row.eligible = false;
    expect_unavailable(context, fleet.try_pick({.id = id}), "a pick where no replica is eligible");
    fleet.all();
    fleet.pick(id + 100);
  }
}

void empty_table(Context& context) {
  Fleet fleet(context, 0);
  expect_unavailable(context, fleet.try_pick({.id = 1}), "a pick in an empty table, nothing joined");
  fleet.join(0, 1);
  fleet.pick(2);
  fleet.leave(0);
  expect_unavailable(context, fleet.try_pick({.id = 3}), "a pick in an empty table, all have left");
}

void the_only_eligible(Context& context) {
  Fleet fleet(context, 8);
  fleet.load(5, 500, 1, 10'000, 10'000);
  fleet.only(5);
  for (RequestId id = 1000; id < 1100; ++id)
    fleet.pick(id);
  Fleet alone(context, 1);
  for (RequestId id = 1; id <= 1000; ++id)
    alone.pick(id);
}

void ids_with_gaps(Context& context) {
  const std::vector<ReplicaId> ids{3, 7, 1000, std::numeric_limits<ReplicaId>::max()};
  Fleet fleet(context, ids);
  const auto counts = fleet.spread(400, 1);
  for (const ReplicaId id : ids)
    context.expect(counts.contains(id), fmt::format("replica {} of 4 got none of 400 equal picks", id));
  expect_spread(context, counts, ids.size(), "ids with gaps");
}

void the_table_decides(Context& context) {
  Fleet fleet(context, 6);
  const std::vector<ReplicaView> whole = fleet.table;
  auto& random = context.random();
  for (RequestId id = 1; id <= 2000; ++id) {
    fleet.table.clear();
    for (const ReplicaView& row : whole)
      if (random() % 2 == 0) fleet.table.push_back(row);
    if (fleet.table.empty()) fleet.table.push_back(whole[random() % whole.size()]);
    fleet.pick(id);
  }
  // A replica that was never told of.
  fleet.table = {{.id = 77, .incarnation = 4, .eligible = true, .capacity = 8}};
  fleet.pick(5000);
}

void a_failed_pick_charges_nothing(Context& context) {
  const auto decisions = [&context](bool fails) {
    Fleet fleet(context, 4);
    std::vector<ReplicaId> made;
    for (RequestId id = 1; id <= 400; ++id) {
      const auto max_tokens = static_cast<std::int32_t>(1 + id * 37 % 300);
      made.push_back(fleet.pick({.id = id, .max_tokens = max_tokens}));
      if (!fails) continue;
      for (ReplicaView& row : fleet.table)
        row.eligible = false;
      context.expect(!fleet.try_pick({.id = 10'000 + id, .prompt = 50'000}), "a pick with no eligible replica");
      fleet.all();
    }
    return made;
  };
  expect_same_picks(context, decisions(false), decisions(true), "picks failed between, for want of an eligible replica",
                    "charge a request only once a replica is found for it");
}

// The shortest form of each code point, no surrogates: RFC 3629, section 4.
bool is_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    const std::size_t length = byte < 0x80 ? 1 : byte >> 5 == 6 ? 2 : byte >> 4 == 14 ? 3 : byte >> 3 == 30 ? 4 : 0;
    if (length == 0 || at + length > text.size()) return false;
    std::uint32_t point = length == 1 ? byte : byte & (0xffu >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) {
      const auto next = static_cast<unsigned char>(text[at + i]);
      if (next >> 6 != 2) return false;
      point = (point << 6) | (next & 0x3fu);
    }
    const std::uint32_t least = length == 2 ? 0x80 : length == 3 ? 0x800 : length == 4 ? 0x10000 : 0;
    if (point < least || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return false;
    at += length;
  }
  return true;
}

void gives_a_reason(Context& context) {
  Fleet fleet(context, 5);
  for (RequestId id = 1; id <= 300; ++id) {
    if (id % 10 == 0) fleet.only(static_cast<ReplicaId>(id % 5));
    const auto decision =
        context.take(fleet.try_pick({.id = id, .prompt = 1'000'000, .affinity = "\xff\xfe\n"}), "pick");
    fleet.all();
    const std::string& reason = decision.reason;
    context.expect(!reason.empty(), fmt::format("pick {} has no reason", id));
    context.expect(reason.size() <= 200, fmt::format("a reason of {} bytes, at most 200", reason.size()));
    context.expect(is_utf8(reason), "a reason that is not UTF-8");
    context.expect(std::none_of(reason.begin(), reason.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }),
                   fmt::format("a reason with control characters: '{}'", reason));
  }
}

void knows_no_foreign_interface(Context& context) {
  Fleet fleet(context, 2);
  for (const char* id : {"", "weft.no_such_interface/1", "load_balancer"})
    context.expect((*fleet).query(id) == nullptr, fmt::format("query('{}') is not null", id));
  fleet.pick(1);
}

constexpr Case eligibility_rules[] = {
    {.id = "LB-01",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a pick is one of the table's eligible replicas, whatever was picked, reported and ended before",
     .rationale = "A replica is not eligible when it is down, draining, excluded for the request or full; a request "
                  "there is lost or refused.",
     .body = picks_only_eligible},
    {.id = "LB-02",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "where no replica is eligible a pick fails with unavailable, retryable, with a message; later picks work",
     .rationale = "The router holds the request and tries again when there is room.",
     .body = none_eligible},
    {.id = "LB-03",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "in an empty table a pick fails with unavailable, retryable, before any replica joined and after all "
              "have left",
     .rationale = "A cluster begins and ends with no replica.",
     .body = empty_table},
    {.id = "LB-04",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "the only eligible replica is picked, however much it has already",
     .rationale = "Eligibility is the router's decision; a balancer that refuses a replica stops the cluster.",
     .body = the_only_eligible},
    {.id = "LB-05",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "replica ids are names, not rows: ids with gaps, up to the largest, each get their share",
     .rationale = "A replica's id is its dp index; hybrid balancing and scaling leave gaps.",
     .body = ids_with_gaps},
    {.id = "LB-06",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "the table of the call decides: a replica that is not in it is not picked, one that never joined may be",
     .rationale = "Table and events come by different roads; the table is the later word.",
     .body = the_table_decides},
    {.id = "LB-07",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a pick that failed charges nothing and changes no later decision",
     .rationale = "The router asks again and again while the cluster is full.",
     .body = a_failed_pick_charges_nothing},
    {.id = "LB-08",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a decision has a reason: 1 to 200 bytes of UTF-8 without control characters, whatever the request's "
              "hint holds",
     .rationale = "It is written into logs and shown to people.",
     .body = gives_a_reason},
    {.id = "LB-09",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "query() answers null for an interface it does not know, and the balancer works on",
     .rationale = "That is how interfaces grow.",
     .body = knows_no_foreign_interface},
};

}  // namespace

std::span<const Case> eligibility_cases() { return eligibility_rules; }

}  // namespace weft::conformance
