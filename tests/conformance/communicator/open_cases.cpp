// Meeting the other ranks, and not meeting them.
#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "tests/conformance/communicator/calls.h"
#include "tests/conformance/communicator/groups.h"
#include "tests/conformance/plugin/footprint.h"

namespace weft::conformance {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

bool names(const Error& error, std::int32_t position) {
  return error.message.find(member_name(position)) != std::string::npos;
}

// An open that must fail before `spec.deadline` or soon after.
Error failed_open(const Rank& rank, const GroupSpec& spec, std::string_view what) {
  auto opened = rank.communicator.open(spec);
  const Duration late = Clock::now() - spec.deadline.at();
  rank.context.expect(!opened, fmt::format("{}: it opened, expected an error", what));
  rank.context.expect(!opened.error().message.empty(), fmt::format("{}: an error without a message", what));
  rank.context.expect(late <= rank.scaled(seconds(1)),
                      fmt::format("{}: ended over a second after its deadline: {}", what, to_string(opened.error())));
  return opened.error();
}

void missing_ranks_are_named(Context& context) {
  World world(context);
  world.run(2, [&](Rank& rank) {
    GroupSpec spec = rank.spec("missing/1");
    spec.size = 4;
    spec.members = {member_name(0), member_name(1), member_name(2), member_name(3)};
    const Time began = Clock::now();
    // Rank 0 waits longer, so that it is there for all of rank 1's time.
    spec.deadline = Deadline::in(rank.scaled(milliseconds(rank.index == 0 ? 1500 : 500)));
    const Error error = failed_open(rank, spec, "an open of which ranks 2 and 3 of four never come");
    context.expect(error.code == ErrorCode::deadline_exceeded,
                   fmt::format("{}, expected deadline_exceeded", to_string(error)));
    context.expect(Clock::now() - began >= (spec.deadline.at() - began) / 2,
                   "the open gave up long before its deadline");
    context.expect(names(error, 2) && names(error, 3),
                   fmt::format("it names not both of '{}' and '{}', as GroupSpec::members calls them: {}",
                               member_name(2), member_name(3), error.message));
    if (rank.index == 1)
      context.expect(!names(error, 0), fmt::format("it names '{}', who was there: {}", member_name(0), error.message));
  });
}

void a_failed_open_leaves_nothing(Context& context) {
  World world(context);
  world.run(
      2,
      [&](Rank& rank) {
        GroupSpec spec = rank.spec("again/1");
        const auto open_alone = [&] {
          spec.deadline = Deadline::in(rank.scaled(milliseconds(400)));
          failed_open(rank, spec, "an open to which the other rank does not come");
        };
        // One rank after the other, so that they do not meet by chance; what a library makes once is made first.
        if (rank.index == 0) open_alone();
        rank.meet("first");
        if (rank.index == 1) open_alone();
        rank.meet("second");
        const Holdings before = look_at_holdings();
        if (rank.index == 0) open_alone();
        expect_no_more(context, before, "after an open that failed");
        rank.meet("third");
        const auto keys = context.take(rank.store.list("group/", patience(context)), "list");
        context.expect(keys.empty(), fmt::format("an open that failed left '{}'", keys.empty() ? "" : keys[0]));
        rank.meet("looked");
        spec.deadline = patience(context);
        auto group = rank.open(spec);
        perform(rank, *group, {.type = DType::i32, .count = 100});
        rank.close(group);
      },
      World::As::processes);
}

void expect_turned_away(Context& context, const Error& error) {
  const bool well = error.code == ErrorCode::already_exists || error.code == ErrorCode::refused ||
                    error.code == ErrorCode::invalid_argument;
  context.expect(well, fmt::format("the second rank 1 got {}, expected already_exists", to_string(error)));
}

void a_second_rank_is_refused(Context& context) {
  World world(context);
  world.run(4, [&](Rank& rank) {
    GroupSpec spec = rank.spec("twice/1");
    spec.size = 2;
    spec.members = {member_name(0), member_name(1)};
    spec.deadline = Deadline::in(rank.scaled(seconds(8)));  // of a refusal that does not come
    std::atomic<std::uint64_t>& opened = rank.board.cell[0];
    if (rank.index == 3) {  // comes when the group has long been open
      rank.await("open");
      spec.deadline = Deadline::in(rank.scaled(seconds(8)));
      spec.rank = 0;
      expect_turned_away(context, failed_open(rank, spec, "a second rank 0 of an open group"));
      return rank.mark("late");
    }
    spec.rank = std::min(rank.index, 1);  // the two last both come as rank 1
    auto group = rank.communicator.open(spec);
    if (!group) {
      context.expect(rank.index != 0, fmt::format("rank 0: {}", to_string(group.error())));
      expect_turned_away(context, group.error());
      return rank.mark("refused");
    }
    context.expect(opened.fetch_add(1) < 2, "three ranks opened a group of two");
    perform(rank, **group, {.type = DType::f32, .count = 1000});
    if (rank.index == 0) rank.mark("open");
    // An id is taken only while its group lives.
    rank.await("refused");
    rank.await("late");
    perform(rank, **group, {.type = DType::f32, .count = 1001});
    rank.close(*group);
  });
  context.expect(world.board().cell[0] == 2,
                 fmt::format("{} ranks opened the group of two", world.board().cell[0].load()));
}

void other_sizes_do_not_meet(Context& context) {
  World world(context);
  for (const std::int32_t first : {2, 3})
    world.run(2, [&](Rank& rank) {
      GroupSpec spec = rank.spec(fmt::format("sizes/{}", first));
      spec.size = rank.index == 0 ? first : 5 - first;
      spec.members.clear();
      spec.deadline = Deadline::in(rank.scaled(milliseconds(700)));
      failed_open(rank, spec,
                  fmt::format("rank {} with size {}, where the other says {}", rank.index, spec.size, 5 - spec.size));
    });
}

void other_incarnations_do_not_meet(Context& context) {
  World world(context);
  world.run(2, [&](Rank& rank) {
    GroupSpec spec = rank.spec(fmt::format("tp/replica-0/{}", rank.index + 1));
    spec.deadline = Deadline::in(rank.scaled(milliseconds(500)));
    const Error error = failed_open(rank, spec, "two ranks of different incarnations");
    context.expect(
        error.code == ErrorCode::deadline_exceeded && names(error, 1 - rank.index),
        fmt::format("{}, expected deadline_exceeded naming '{}'", to_string(error), member_name(1 - rank.index)));
  });
}

void impossible_specs(Context& context) {
  World world(context);
  world.run(1, [&](Rank& rank) {
    const auto expect = [&](const char* what, const std::function<void(GroupSpec&)>& spoil) {
      GroupSpec spec = rank.spec("impossible/1");
      spec.deadline = Deadline::in(rank.scaled(seconds(2)));
      spoil(spec);
      const Error error = failed_open(rank, spec, what);
      context.expect(error.code == ErrorCode::invalid_argument,
                     fmt::format("{}: {}, expected invalid_argument", what, to_string(error)));
    };
    expect("rank 1 of one", [](GroupSpec& spec) { spec.rank = 1; });
    expect("rank -1", [](GroupSpec& spec) { spec.rank = -1; });
    expect("size 0", [](GroupSpec& spec) { spec.size = 0; });
    expect("size -1", [](GroupSpec& spec) { spec.size = -1; });
    expect("two names for one rank", [](GroupSpec& spec) { spec.members.push_back("rank 11"); });
    expect("no id", [](GroupSpec& spec) { spec.id.clear(); });
    expect("two ranks and no store", [](GroupSpec& spec) {
      spec.size = 2;
      spec.members.clear();
      spec.store = nullptr;
    });
  });
  world.expect_no_keys("after opens that could not be");
}

// Works `calls` times, then fails: at once, or when the call's deadline has passed (with never(): after a while).
class BrokenStore final : public StoreClient {
 public:
  BrokenStore(StoreClient& store, int calls, bool hangs, Duration longest)
      : store_(store), left_(calls), hangs_(hangs), longest_(longest) {}

  Status set(std::string_view key, std::string_view value, Deadline deadline) override {
    if (works(deadline)) return store_.set(key, value, deadline);
    return broken();
  }
  Result<std::string> get(std::string_view key, Deadline deadline) override {
    if (works(deadline)) return store_.get(key, deadline);
    return broken();
  }
  Result<std::vector<std::string>> wait(const std::vector<std::string>& keys, Deadline deadline) override {
    if (works(deadline)) return store_.wait(keys, deadline);
    return broken();
  }
  Result<std::int64_t> add(std::string_view key, std::int64_t delta, Deadline deadline) override {
    if (works(deadline)) return store_.add(key, delta, deadline);
    return broken();
  }
  Result<std::string> compare_and_set(std::string_view key, std::optional<std::string_view> expected,
                                      std::string_view desired, Deadline deadline) override {
    if (works(deadline)) return store_.compare_and_set(key, expected, desired, deadline);
    return broken();
  }
  Result<bool> remove(std::string_view key, Deadline deadline) override {
    if (works(deadline)) return store_.remove(key, deadline);
    return broken();
  }
  Result<std::int64_t> remove_prefix(std::string_view prefix, Deadline deadline) override {
    if (works(deadline)) return store_.remove_prefix(prefix, deadline);
    return broken();
  }
  Result<std::vector<std::string>> list(std::string_view prefix, Deadline deadline) override {
    if (works(deadline)) return store_.list(prefix, deadline);
    return broken();
  }

 private:
  bool works(Deadline deadline) {
    if (left_.fetch_sub(1) > 0) return true;
    if (hangs_) (void)store_.wait({"case/never"}, deadline.earlier(Deadline::in(longest_)));
    return false;
  }
  tl::unexpected<Error> broken() const {
    return hangs_ ? fail(ErrorCode::deadline_exceeded, "the head has not answered", true)
                  : fail(ErrorCode::unavailable, "the link to the head is down");
  }

  StoreClient& store_;
  std::atomic<int> left_;
  const bool hangs_;
  const Duration longest_;
};

void a_failing_store_fails_the_open(Context& context) {
  World world(context);
  for (const bool hangs : {false, true})
    for (const int calls : {0, 1, 3}) {
      world.run(2, [&](Rank& rank) {
        BrokenStore store(rank.store, calls, hangs, rank.scaled(seconds(4)));
        GroupSpec spec = rank.spec(fmt::format("store/{}/{}", hangs, calls));
        spec.deadline = Deadline::in(rank.scaled(milliseconds(300)));
        if (rank.index == 0) spec.store = &store;
        const std::string what = fmt::format("an open whose store {} after {} calls", hangs ? "hangs" : "fails", calls);
        // One that needs no more calls than work may open, and then both do.
        auto opened = rank.communicator.open(spec);
        const Duration late = Clock::now() - spec.deadline.at();
        context.expect(late <= rank.scaled(seconds(1)),
                       fmt::format("{}: it ended over a second after its deadline", what));
        context.expect(calls > 0 || rank.index != 0 || !opened, fmt::format("{}: it opened", what));
      });
    }
}

void device_memory_is_unimplemented(Context& context) {
  if (context.declares("device_memory")) context.skip("device_memory is declared");
  World world(context);
  world.run(
      1,
      [&](Rank& rank) {
        const Holdings before = look_at_holdings();
        for (const std::int32_t size : {1, 2}) {
          GroupSpec spec = rank.spec("device/1");
          spec.size = size;
          spec.members.clear();
          spec.memory = MemoryKind::device;
          spec.device = 0;
          spec.deadline = Deadline::in(rank.scaled(seconds(2)));
          const Error error = failed_open(rank, spec, "an open for device memory, which is not declared");
          context.expect(error.code == ErrorCode::unimplemented,
                         fmt::format("{}, expected unimplemented", to_string(error)));
        }
        expect_no_more(context, before, "after opens for device memory");
      },
      World::As::processes);
  world.expect_no_keys("after opens for device memory");
}

void addresses_are_used(Context& context) {
  World world(context);
  world.run(2, [&](Rank& rank) {
    for (const bool apart : {false, true}) {
      GroupSpec spec = rank.spec(fmt::format("address/{}", apart));
      // All of 127.0.0.0/8 is this machine.
      spec.address = apart && rank.index == 1 ? "127.0.0.2" : "127.0.0.1";
      auto group = rank.open(spec);
      perform(rank, *group, {.type = DType::f32, .count = 1000});
      rank.close(group);
    }
    GroupSpec foreign = rank.spec("address/foreign");
    foreign.address = "192.0.2.7";  // TEST-NET-1 (RFC 5737): nobody's
    foreign.deadline = Deadline::in(rank.scaled(seconds(2)));
    failed_open(rank, foreign, "an open with the address 192.0.2.7, which this machine has not");
  });
}

void finds_an_address(Context& context) {
  World world(context);
  world.run(2, [&](Rank& rank) {
    GroupSpec spec = rank.spec("unsaid/1");
    spec.address.clear();
    spec.members.clear();
    auto group = rank.open(spec);
    context.expect(group->rank() == rank.index && group->size() == 2, "rank() or size() are not those of the spec");
    perform(rank, *group, {.type = DType::f32, .count = 1000});
    rank.close(group);
  });
}

constexpr Case open_rules[] = {
    {.id = "CM-50",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "an open to which ranks do not come ends at its deadline with deadline_exceeded, and names them as "
              "`members` does",
     .rationale = "Whoever reads it must know which machine to look at. Those who are there are not named.",
     .body = missing_ranks_are_named,
     .limit = seconds(60)},
    {.id = "CM-51",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a second rank of one position is refused before its deadline, and the group works",
     .rationale = "A rank that was thought dead may come back. already_exists is the code; refused and "
                  "invalid_argument are taken too.",
     .body = a_second_rank_is_refused,
     .limit = seconds(60)},
    {.id = "CM-52",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "ranks that say different sizes do not open, any of them",
     .rationale = "Half a group that works is worse than none.",
     .body = other_sizes_do_not_meet,
     .limit = seconds(60)},
    {.id = "CM-53",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "ranks of different incarnations do not meet",
     .rationale = "The incarnation is part of the id; nothing stale is ever accepted.",
     .body = other_incarnations_do_not_meet,
     .limit = seconds(60)},
    {.id = "CM-54",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a spec that cannot be is invalid_argument and leaves no key",
     .rationale = "A rank outside the size, names that do not fit, no id, no store for two ranks.",
     .body = impossible_specs,
     .limit = seconds(60)},
    {.id = "CM-55",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a store that fails or hangs, at any call, makes the open end by its deadline, on every rank",
     .rationale = "The head may die while ranks meet.",
     .body = a_failing_store_fails_the_open,
     .limit = seconds(60)},
    {.id = "CM-56",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "where `device_memory` is not declared: an open for device memory is unimplemented and leaves nothing",
     .rationale = "What a plugin cannot do it says.",
     .body = device_memory_is_unimplemented,
     .limit = seconds(60)},
    {.id = "CM-57",
     .level = Level::must,
     .needs = "cap:several_nodes",
     .since = "1",
     .title = "where `several_nodes` is declared: GroupSpec's address is used, each rank's its own, and one that is "
              "not this "
              "machine's is an error",
     .rationale = "The plan knows which of a node's networks to use.",
     .body = addresses_are_used,
     .limit = seconds(60)},
    {.id = "CM-58",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "without an address and names the communicator finds its way, and rank() and size() are the spec's",
     .rationale = "On one machine nobody says an address.",
     .body = finds_an_address,
     .limit = seconds(60)},
    {.id = "CM-59",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "an open that failed leaves no key, descriptor or thread, and the same group can be opened after it",
     .rationale = "A rank that comes late is no reason to begin a new incarnation.",
     .body = a_failed_open_leaves_nothing,
     .limit = seconds(60)},
};

}  // namespace

std::span<const Case> open_cases() { return open_rules; }

}  // namespace weft::conformance
