#include "tests/conformance/mutants/executor/checks.h"

#include <sched.h>

#include <algorithm>
#include <set>
#include <string>

#include "tests/conformance/mutants/switch.h"

namespace weft::mutant {
namespace {

bool holds_null(const std::string& text) { return text.find('\0') != std::string::npos; }

tl::unexpected<Error> wrong(const RankSpec& rank, const std::string& what) {
  if (breaks("no_message")) return fail(ErrorCode::invalid_argument, "");
  return fail(ErrorCode::invalid_argument, "rank " + std::to_string(rank.rank) + ": " + what);
}

Status check_texts(const RankSpec& rank) {
  if (rank.argv.empty() || (rank.argv[0].empty() && !breaks("an_empty_program")))
    return wrong(rank, "expected a program as argv[0]");
  if (breaks("takes_any_text")) return {};
  if (std::any_of(rank.argv.begin(), rank.argv.end(), holds_null)) return wrong(rank, "an argument holds a null");
  for (const auto& [name, value] : rank.env)
    if (name.empty() || holds_null(name) || holds_null(value) || name.find('=') != std::string::npos)
      return wrong(rank, "variable '" + name + "' cannot be set");
  return {};
}

bool is_there(const std::string& name) {
  const std::vector<Node> nodes = all_nodes();
  return std::any_of(nodes.begin(), nodes.end(), [&](const Node& node) { return node.name == name; });
}

Status check_place(const RankSpec& rank, const Node& node) {
  if (!rank.node.empty() && !is_there(rank.node) && !breaks("any_node_is_here"))
    return wrong(rank, "node '" + rank.node + "' is not there, '" + node.name + "' is");
  for (const int cpu : rank.cpus)
    if (std::count(node.cpus.begin(), node.cpus.end(), cpu) == 0 && !breaks("any_cpu"))
      return wrong(rank, "CPU " + std::to_string(cpu) + " is not there");
  for (const NodeDevice& device : rank.devices) {
    const bool there = std::any_of(node.devices.begin(), node.devices.end(), [&](const NodeDevice& one) {
      return one.kind == device.kind && one.index == device.index;
    });
    if (!there && !breaks("any_device")) return wrong(rank, "there is no device " + device.kind);
  }
  return {};
}

}  // namespace

Node this_node() {
  static int calls = 0;
  Node node{.name = "here", .address = "127.0.0.1", .cpus = {}, .memory = 0, .devices = {}};
  if (breaks("address_changes")) node.address = "127.0.0." + std::to_string(1 + ++calls % 100);
  cpu_set_t set;
  CPU_ZERO(&set);
  (void)::sched_getaffinity(0, sizeof set, &set);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(static_cast<std::size_t>(cpu), &set)) node.cpus.push_back(cpu);
  for (const std::int32_t index : {0, 1})
    node.devices.push_back({.kind = "pretended", .index = breaks("a_device_twice") ? 0 : index, .memory = 0});
  return node;
}

std::vector<Node> all_nodes() {
  std::vector<Node> nodes{this_node()};
  if (breaks("named_node_ignored")) {
    nodes.push_back(nodes[0]);
    nodes[1].name = "there";
  }
  return nodes;
}

Status check(const GangSpec& spec) {
  if (spec.gang.id.empty()) return fail(ErrorCode::invalid_argument, "a gang has an id");
  if (spec.ranks.empty()) return fail(ErrorCode::invalid_argument, "gang " + spec.gang.id + " has no rank");
  const Node node = this_node();
  std::set<std::int32_t> numbers;
  for (const RankSpec& rank : spec.ranks) {
    if (!numbers.insert(rank.rank).second && !breaks("a_rank_twice")) return wrong(rank, "it is there twice");
    WEFT_TRY(check_texts(rank));
    WEFT_TRY(check_place(rank, node));
  }
  return {};
}

}  // namespace weft::mutant
