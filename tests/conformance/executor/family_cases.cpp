// The processes that a rank starts.
#include <fmt/format.h>
#include <signal.h>

#include <set>

#include "tests/conformance/executor/bench.h"
#include "tests/conformance/executor/groups.h"
#include "tests/conformance/executor/rank_program.h"

namespace weft::conformance::ex {
namespace {

const std::string term_signal = std::to_string(SIGTERM);

// A child of `parent` that ignores TERM, under the name `name`.
Peer& child_of(const Bench& bench, Peer& parent, const std::string& name, const char* where = "group") {
  parent.order({"child", name, where});
  Peer& child = bench.post().peer(name);
  child.order({"ignore", term_signal});
  return child;
}

// Two generations below a rank.
std::vector<Peer*> family_of(const Bench& bench, Peer& rank) {
  Peer& child = child_of(bench, rank, rank.name() + "/child");
  Peer& other = child_of(bench, rank, rank.name() + "/other");
  return {&child, &other, &child_of(bench, child, child.name() + "/grandchild")};
}

void term_reaches_children(Context& context) {
  const Bench bench(context);
  const GangSpec spec = bench.gang({"g", 1}, 1);
  Peer& rank = *bench.start(spec)[0];
  rank.order({"ignore", term_signal});
  Peer& child = child_of(bench, rank, "child");
  child.order({"honour", term_signal, "0"});
  context.expect_ok(bench->stop(spec.gang, an_hour), "stop");
  child.expect_word("signal");
  bench.end(spec);
}

void a_rank_takes_its_children_along(Context& context) {
  const Bench bench(context);
  GangSpec spec = bench.gang({"g", 1}, 3);
  for (RankSpec& rank : spec.ranks)  // which its children hold open as well
    rank.log_path = (context.directory() / fmt::format("log-{}", rank.rank)).string();
  const std::vector<Peer*> ranks = bench.start(spec);
  std::vector<std::vector<Peer*>> families;
  for (Peer* const rank : ranks)
    families.push_back(family_of(bench, *rank));
  ranks[0]->tell({"exit", "3"});
  bench.sink().expect_exit(spec.gang, 0, Exit::Cause::code, 3);
  ranks[1]->tell({"raise", std::to_string(SIGKILL)});
  bench.sink().expect_exit(spec.gang, 1, Exit::Cause::signal, SIGKILL);
  for (const std::size_t rank : {0U, 1U})
    for (Peer* const one : families[rank])
      one->expect_gone("after its rank's exit was told");
  for (Peer* const one : families[2])
    context.expect(one->lives(), "children of a rank ended with another rank");
}

void stop_takes_children_along(Context& context) {
  const Bench bench(context);
  const GangSpec spec = bench.gang({"g", 1}, 2);
  std::vector<Peer*> all;
  for (Peer* const rank : bench.start(spec))
    for (Peer* const one : family_of(bench, *rank))
      all.push_back(one);
  context.expect_ok(bench->stop(spec.gang, std::chrono::milliseconds(100)), "stop");
  bench.sink().wait_exits(spec.gang, 2);
  for (Peer* const one : all)
    one->expect_gone("after its gang was stopped");
}

void close_takes_children_along(Context& context) {
  const Bench bench(context);
  const std::vector<Peer*> all = family_of(bench, *bench.start(bench.gang({"g", 1}, 1))[0]);
  context.expect_ok(bench->close(), "close");
  for (Peer* const one : all)
    one->expect_gone("after close");
}

// Whether each rank is in a cgroup of its own, below the one that the executor runs in.
bool have_cgroups(const std::vector<Peer*>& ranks) {
  const std::string here = cgroup_of_this_process();
  const std::string below = here.ends_with('/') ? here : here + "/";
  std::set<std::string> cgroups;
  for (Peer* const rank : ranks)
    if (const Words cgroup = rank->ask({"cgroup"});
        cgroup.size() == 1 && cgroup[0] != here && cgroup[0].starts_with(below))
      cgroups.insert(cgroup[0]);
  return !here.empty() && cgroups.size() == ranks.size();
}

void strays_are_taken_along(Context& context) {
  const Bench bench(context);
  const GangSpec spec = bench.gang({"g", 1}, 2);
  const std::vector<Peer*> ranks = bench.start(spec);
  if (context.profile().fixture("strays") == nullptr && !have_cgroups(ranks)) {
    bench.end(spec);
    context.skip("ranks have no cgroups of their own, and the profile lacks the fixture 'strays'");
  }
  Peer& first = child_of(bench, *ranks[0], "first", "session");
  Peer& second = child_of(bench, *ranks[1], "second", "session");
  ranks[0]->tell({"exit", "0"});
  first.expect_gone("in a session of its own, after its rank's exit");
  bench.end(spec);
  second.expect_gone("in a session of its own, after its gang was stopped");
}

const Case family_rules[] = {
    {"EX-72", Level::must, "", "1", "TERM reaches the whole process group of a rank",
     "A launcher's child is the real worker.", term_reaches_children},
    {"EX-73", Level::must, "", "1", "when a rank ends, its process group ends; children do not hold its exit up",
     "A child that lives on holds memory, devices and ports.", a_rank_takes_its_children_along},
    {"EX-74", Level::must, "", "1", "when a gang is stopped, the process groups of its ranks end",
     "A child that lives on holds memory, devices and ports.", stop_takes_children_along},
    {"EX-75", Level::must, "", "1", "close ends the process groups of all ranks",
     "A child that lives on holds memory, devices and ports.", close_takes_children_along},
    {"EX-76", Level::must, "", "1",
     "where the executor keeps ranks in a cgroup, or the like, what left the process group ends too",
     "A daemon of a library must not outlive its rank. Where nothing is there to hold it, it can.",
     strays_are_taken_along},
};

}  // namespace

std::span<const Case> family_cases() { return family_rules; }

}  // namespace weft::conformance::ex
