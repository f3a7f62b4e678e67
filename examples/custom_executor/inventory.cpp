// What the nodes have, and what can be seen to be wrong with a gang before anything is started on them.
#include <algorithm>
#include <set>

#include "executor.h"

namespace remote {
namespace {

using weft::ErrorCode;
using weft::fail;

// One node that is asked.
struct Question {
  weft::Node* node = nullptr;
  std::unique_ptr<Transport> transport;  // null once it has answered or ended
  std::string failure;
};

Question ask(const Settings& settings, const NodeSettings& asked, weft::Node& node) {
  Question question{.node = &node};
  auto transport = Transport::start(settings.agent_command(asked));
  if (!transport) {
    question.failure = transport.error().message;
    return question;
  }
  question.transport = std::move(*transport);
  question.transport->send(describe_line());
  question.transport->end_input();
  return question;
}

void listen(Question& question) {
  Transport& transport = *question.transport;
  transport.pump();
  while (const auto line = transport.next_line()) {
    const AgentEvent event = read_event(*line);
    if (event.kind == AgentEvent::Kind::exit) question.failure = event.exit.detail;  // it does not understand
    if (event.kind != AgentEvent::Kind::node || event.cpus.empty()) continue;
    question.node->cpus = event.cpus;
    question.node->memory = event.memory;
  }
  if (!transport.ended()) return;
  if (question.node->cpus.empty() && question.failure.empty()) question.failure = transport.end_text();
  question.transport.reset();
}

// One wait for all that are still open.
bool wait(const std::vector<Question>& questions, weft::Deadline deadline) {
  std::vector<pollfd> entries;
  for (const Question& question : questions)
    if (question.transport != nullptr) question.transport->poll_entries(entries);
  return !entries.empty() && poll(entries.data(), entries.size(), deadline.poll_milliseconds()) != 0;
}

}  // namespace

weft::Result<weft::Inventory> ask_nodes(const Settings& settings, weft::Deadline deadline) {
  deadline = deadline.earlier(weft::Deadline::in(settings.connect_timeout));
  weft::Inventory inventory;
  for (const NodeSettings& node : settings.nodes)
    inventory.nodes.push_back(
        {.name = node.name, .address = node.address, .cpus = node.cpus, .memory = 0, .devices = {}});
  std::vector<Question> questions;
  for (std::size_t i = 0; i < settings.nodes.size(); ++i)
    if (settings.nodes[i].cpus.empty()) questions.push_back(ask(settings, settings.nodes[i], inventory.nodes[i]));
  do {
    for (Question& question : questions)
      if (question.transport != nullptr) listen(question);
  } while (wait(questions, deadline));

  std::string failures;
  bool late = true;
  for (const Question& question : questions) {
    if (!question.node->cpus.empty()) continue;
    late &= question.failure.empty();
    failures += (failures.empty() ? "node " : "; node ") + question.node->name + ": " +
                (question.failure.empty() ? "no answer in time" : question.failure);
  }
  if (failures.empty()) return inventory;
  return fail(late ? ErrorCode::deadline_exceeded : ErrorCode::unavailable, failures, true);
}

weft::Status check_spec(const weft::GangSpec& spec, const Settings& settings) {
  const auto bad = [&](const std::string& text) {
    return fail(ErrorCode::invalid_argument, "gang " + spec.gang.id + ": " + text);
  };
  const auto has_null = [](const std::string& text) { return text.find('\0') != std::string::npos; };
  if (spec.gang.id.empty()) return fail(ErrorCode::invalid_argument, "a gang needs an id");
  if (spec.ranks.empty()) return bad("expected at least one rank");
  std::set<std::int32_t> seen;
  for (const weft::RankSpec& rank : spec.ranks) {
    const std::string name = "rank " + std::to_string(rank.rank);
    if (!seen.insert(rank.rank).second) return bad(name + " is there twice");
    if (!rank.node.empty() && settings.find(rank.node) == nullptr)
      return bad(name + ": no node '" + rank.node + "' (option nodes)");
    if (rank.argv.empty() || rank.argv.front().empty()) return bad(name + " has no program");
    if (std::any_of(rank.argv.begin(), rank.argv.end(), has_null)) return bad(name + ": a null character in argv");
    for (const auto& [key, value] : rank.env)
      if (key.empty() || key.find('=') != std::string::npos || has_null(key) || has_null(value))
        return bad(name + ": '" + key + "' is no legal name or value of an environment variable");
    for (const int cpu : rank.cpus)
      if (cpu < 0 || cpu > 65'535) return bad(name + ": CPU " + std::to_string(cpu) + " does not exist");
    if (!rank.devices.empty()) return bad(name + ": its node has no devices that this executor knows of");
  }
  return {};
}

}  // namespace remote
