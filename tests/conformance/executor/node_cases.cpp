// The inventory, and where ranks are placed.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "tests/conformance/executor/bench.h"
#include "tests/conformance/executor/groups.h"

namespace weft::conformance::ex {
namespace {

constexpr std::size_t tried_nodes = 4;  // of many

void expect_sensible(const Context& context, const Node& node) {
  context.expect(!node.name.empty() && !node.address.empty(),
                 fmt::format("node '{}' at address '{}': neither may be empty", node.name, node.address));
  context.expect(!node.cpus.empty(), fmt::format("node {} has no CPU", node.name));
  const std::set<int> cpus(node.cpus.begin(), node.cpus.end());
  context.expect(cpus.size() == node.cpus.size() && *cpus.begin() >= 0,
                 fmt::format("node {}: a CPU is negative or there twice: {}", node.name, fmt::join(node.cpus, ",")));
  std::set<std::pair<std::string, int>> devices;
  for (const NodeDevice& device : node.devices)
    context.expect(!device.kind.empty() && device.index >= 0 && devices.emplace(device.kind, device.index).second,
                   fmt::format("node {}: device '{}' {} has no kind, a negative index or is there twice", node.name,
                               device.kind, device.index));
}

void inventory_is_sensible(Context& context) {
  const Bench bench(context);
  const std::vector<Node> nodes = bench.nodes();
  context.expect(!nodes.empty(), "the inventory has no node");
  std::set<std::string> names;
  for (const Node& node : nodes) {
    expect_sensible(context, node);
    context.expect(names.insert(node.name).second, fmt::format("two nodes are called {}", node.name));
  }
  context.note(fmt::format("{} nodes, the first with {} CPUs and {} devices", nodes.size(), nodes[0].cpus.size(),
                           nodes[0].devices.size()));
}

std::string text_of(const std::vector<Node>& nodes) {
  std::string text;
  for (const Node& node : nodes) {
    text += fmt::format("{} at {} cpus {}", node.name, node.address, fmt::join(node.cpus, ","));
    for (const NodeDevice& device : node.devices)
      text += fmt::format(" {}{}", device.kind, device.index);
    text += "; ";
  }
  return text;
}

void inventory_is_stable(Context& context) {
  const Bench bench(context);
  const std::string first = text_of(bench.nodes());
  const auto expect_same = [&](const char* when) {
    const std::string now = text_of(bench.nodes());
    context.expect(now == first, fmt::format("{} the inventory is {}, it was {}", when, now, first));
  };
  expect_same("asked again");
  const GangSpec spec = bench.gang({"g", 1}, 1);
  bench.start(spec);
  expect_same("while a gang lives");
  context.run_threads(2, [&](int) { expect_same("in another thread"); });
  bench.end(spec);
  expect_same("after a gang's end");
}

void inventory_keeps_its_deadline(Context& context) {
  const Bench bench(context);
  const Time asked = Clock::now();
  const Result<Inventory> late = bench->inventory(Deadline(asked - std::chrono::seconds(1)));
  context.expect(Clock::now() - asked < patience(context), "an inventory whose deadline has passed takes its time");
  if (late) return context.expect(!late->nodes.empty(), "it succeeded with no node");
  context.expect_error(late, ErrorCode::deadline_exceeded, "an inventory whose deadline has passed");
}

void placed_where_the_inventory_says(Context& context) {
  const Bench bench(context);
  const std::vector<Node> nodes = bench.nodes();
  const GangSpec spec = bench.gang({"g", 1}, 2);
  bench.start(spec);
  for (const Placement& placement : bench.sink().wait_placed(spec.gang)) {
    const auto node =
        std::find_if(nodes.begin(), nodes.end(), [&](const Node& each) { return each.name == placement.node; });
    context.expect(node != nodes.end(), fmt::format("rank {} was placed on '{}', which the inventory does not name",
                                                    placement.rank, placement.node));
    context.expect(node->address == placement.address, fmt::format("rank {} has address '{}', its node '{}'",
                                                                   placement.rank, placement.address, node->address));
  }
}

void named_node_is_kept(Context& context) {
  const Bench bench(context);
  std::vector<Node> nodes = bench.nodes();
  nodes.resize(std::min(nodes.size(), tried_nodes));
  for (std::size_t index = 0; index < nodes.size(); ++index) {
    GangSpec spec = bench.gang({fmt::format("g{}", index), 1}, 2);
    for (RankSpec& rank : spec.ranks)
      rank.node = nodes[index].name;
    bench.start(spec);
    for (const Placement& placement : bench.sink().wait_placed(spec.gang))
      context.expect(
          placement.node == nodes[index].name,
          fmt::format("rank {} asked for node {} and is on '{}'", placement.rank, nodes[index].name, placement.node));
  }
}

void unknown_node_is_refused(Context& context) {
  const Bench bench(context);
  GangSpec spec = bench.gang({"g", 1}, 3);
  spec.ranks[1].node = "no-such-node";
  const Status refused = bench->launch(spec, bench.sink());
  context.expect_error(refused, ErrorCode::invalid_argument, "launch on a node that is not in the inventory");
  context.expect(refused.error().message.find("no-such-node") != std::string::npos,
                 "the message does not name the node: " + refused.error().message);
  context.expect_ok(bench->close(), "close");
  context.expect(bench.sink().heard_nothing(), "the sink was told of a gang that was refused");
  context.expect(bench.post().peers().empty(), "a rank of a refused gang was started");
}

// Each rank of a gang on a node of its own, all of them there.
std::vector<Words> places_of(const Bench& bench, const GangId& gang, const std::vector<std::string>& nodes) {
  GangSpec spec = bench.gang(gang, static_cast<std::int32_t>(nodes.size()));
  for (std::size_t index = 0; index < nodes.size(); ++index)
    spec.ranks[index].node = nodes[index];
  std::vector<Words> places;
  for (Peer* const peer : bench.start(spec))
    places.push_back(peer->ask({"place"}));
  return places;
}

void expect_apart(const Bench& bench, const std::vector<std::string>& nodes) {
  const std::vector<Words> places = places_of(bench, {"a", 1}, nodes);
  const std::set<Words> different(places.begin(), places.end());
  bench.context().expect(
      different.size() == nodes.size(),
      fmt::format("ranks on {} nodes run in {} places (host and network namespace)", nodes.size(), different.size()));
  const std::vector<Words> again = places_of(bench, {"b", 1}, nodes);
  bench.context().expect(places == again, "a second gang's ranks on the same nodes run elsewhere");
}

void several_nodes_are_apart(Context& context) {
  const Bench bench(context);
  std::vector<std::string> names;
  for (const Node& node : bench.nodes())
    if (names.size() < tried_nodes) names.push_back(node.name);
  context.expect(names.size() > 1, "several_nodes is declared and the inventory has one node");
  expect_apart(bench, names);
}

void profile_nodes_are_there(Context& context) {
  const Bench bench(context);
  const std::vector<std::string>& wanted = *context.profile().fixture("nodes");
  std::set<std::string> names;
  for (const Node& node : bench.nodes())
    names.insert(node.name);
  for (const std::string& name : wanted)
    context.expect(names.contains(name), fmt::format("the profile's node {} is not in the inventory", name));
  expect_apart(bench, wanted);
}

// The first node with devices; skips the case where none has any.
Node node_with_devices(const Bench& bench) {
  for (const Node& node : bench.nodes())
    if (!node.devices.empty()) return node;
  bench.context().skip("no node of the inventory has a device");
}

std::string name_of(const NodeDevice& device) { return fmt::format("{}:{}", device.kind, device.index); }

void devices_are_those_asked_for(Context& context) {
  const Bench bench(context);
  const Node node = node_with_devices(bench);
  GangSpec spec = bench.gang({"g", 1}, static_cast<std::int32_t>(node.devices.size()));
  for (std::size_t index = 0; index < spec.ranks.size(); ++index) {
    spec.ranks[index].node = node.name;
    spec.ranks[index].devices = {node.devices[index]};
  }
  bench.start(spec);
  std::set<std::string> given;
  for (const Placement& placement : bench.sink().wait_placed(spec.gang)) {
    const std::string asked = name_of(node.devices.at(static_cast<std::size_t>(placement.rank)));
    context.expect(
        placement.devices.size() == 1 && name_of(placement.devices[0]) == asked,
        fmt::format("rank {} asked for device {} and got {} devices", placement.rank, asked, placement.devices.size()));
    context.expect(given.insert(asked).second, fmt::format("two ranks have device {}", asked));
  }
}

// Refused at once, or told as a gang that never started.
void expect_never_runs(const Bench& bench, const GangSpec& spec, const char* what) {
  const Status launched = bench->launch(spec, bench.sink());
  if (!launched) return bench.context().expect_error(launched, ErrorCode::invalid_argument, what);
  for (const Told& told : bench.sink().wait_exits(spec.gang, spec.ranks.size()))
    bench.context().expect(told.exit.cause == Exit::Cause::never_started && !told.exit.detail.empty(),
                           fmt::format("{}: it ended with {}, expected invalid_argument or never_started and a reason",
                                       what, to_text(told.exit)));
}

void missing_devices_are_refused(Context& context) {
  const Bench bench(context);
  GangSpec spec = bench.exits({"g", 1}, {0, 0});
  spec.ranks[1].devices = {{.kind = "no_such_kind", .index = 0, .memory = 0}};
  expect_never_runs(bench, spec, "launch with a device that no node has");
}

Words texts_of(std::vector<int> cpus) {
  std::sort(cpus.begin(), cpus.end());
  Words texts;
  for (const int cpu : cpus)
    texts.push_back(std::to_string(cpu));
  return texts;
}

void affinity_arrives(Context& context) {
  const Bench bench(context);
  const Node node = bench.nodes().front();
  GangSpec spec = bench.gang({"g", 1}, 3);
  for (RankSpec& rank : spec.ranks)
    rank.node = node.name;
  spec.ranks[0].cpus = {node.cpus.back()};
  spec.ranks[1].cpus = node.cpus;
  const std::vector<Peer*> peers = bench.start(spec);
  for (std::size_t index = 0; index < 2; ++index) {
    const Words got = peers[index]->ask({"cpus"});
    const Words asked = texts_of(spec.ranks[index].cpus);
    context.expect(got == asked,
                   fmt::format("a rank with CPUs {} may run on {}", fmt::join(asked, ","), fmt::join(got, ",")));
  }
  const Words unbound = peers[2]->ask({"cpus"});
  for (const std::string& cpu : texts_of(node.cpus))
    context.expect(std::find(unbound.begin(), unbound.end(), cpu) != unbound.end(),
                   fmt::format("a rank without CPUs may not run on {} of its node", cpu));
}

void missing_cpus_are_refused(Context& context) {
  const Bench bench(context);
  const Node node = bench.nodes().front();
  GangSpec spec = bench.exits({"g", 1}, {0, 0});
  for (RankSpec& rank : spec.ranks)
    rank.node = node.name;
  // One that is there, so that a mask of both is not empty.
  spec.ranks[1].cpus = {node.cpus.front(), *std::max_element(node.cpus.begin(), node.cpus.end()) + 1000};
  expect_never_runs(bench, spec, "launch with a CPU that the node does not have");
}

const Case node_rules[] = {
    {"EX-01", Level::must, "", "1",
     "the inventory names at least one node, each with an address, CPUs and devices of its own",
     "The plan is made of it.", inventory_is_sensible},
    {"EX-02", Level::must, "", "1", "the inventory stays as it is, whatever runs and whichever thread asks",
     "A replica is relaunched by the plan that was made at the start.", inventory_is_stable},
    {"EX-03", Level::must, "", "1",
     "an inventory whose deadline has passed is there at once or ends with deadline_exceeded",
     "A cluster that does not answer must not hang the head.", inventory_keeps_its_deadline},
    {"EX-04", Level::must, "", "1", "every rank is placed on a node of the inventory, at that node's address",
     "Peers find each other by it.", placed_where_the_inventory_says},
    {"EX-05", Level::must, "", "1", "a rank that names a node is placed there",
     "The plan puts ranks near to each other.", named_node_is_kept},
    {"EX-06", Level::must, "", "1",
     "a node that is not in the inventory is invalid_argument and named, and nothing starts",
     "A typing error in the file must not become another node.", unknown_node_is_refused},
    {"EX-07", Level::must, "cap:several_nodes", "1",
     "ranks on several nodes run in several places, the same ones again", "What several_nodes claims.",
     several_nodes_are_apart},
    {"EX-08", Level::must, "fixture:nodes=2", "1",
     "the profile's nodes are in the inventory, and ranks run on each of them", "The profile says what is there.",
     profile_nodes_are_there},
    {"EX-10", Level::must, "", "1", "ranks have the devices that they ask for, each device one rank",
     "Two ranks on one accelerator run out of its memory.", devices_are_those_asked_for},
    {"EX-11", Level::must, "", "1", "a gang with a device that no node has never runs",
     "It would run without it, and slowly.", missing_devices_are_refused},
    {"EX-12", Level::must, "", "1",
     "a rank may run on the CPUs of its spec and on no others; without any, on all of its node's",
     "Ranks that share cores wait for each other in every collective.", affinity_arrives},
    {"EX-13", Level::must, "", "1", "a gang with a CPU that its node does not have never runs",
     "It would share the CPUs of another rank.", missing_cpus_are_refused},
};

}  // namespace

std::span<const Case> node_cases() { return node_rules; }

}  // namespace weft::conformance::ex
