// What the user's options say, checked: the nodes, and the command that reaches each of them.
#pragma once

#include <weft/executor.h>
#include <weft/plugin.h>

#include <string>
#include <vector>

namespace remote {

struct NodeSettings {
  std::string name;
  std::string address;    // how other nodes reach it
  std::vector<int> cpus;  // that ranks may use there; empty: the agent on the node is asked
};

struct Settings {
  std::vector<std::string> command;  // before `weft agent`; "{node}" and "{address}" are replaced; empty: this machine
  std::string agent;                 // weft on the node
  std::vector<NodeSettings> nodes;   // at least one; names differ
  weft::Duration connect_timeout{};  // from the command's start until the agent's first word
  weft::Duration answer_timeout{};   // of an agent that was told to end its rank, beyond the grace

  // What starts the agent of that node: {"ssh", "left", "weft", "agent"}.
  std::vector<std::string> agent_command(const NodeSettings& node) const;
  const NodeSettings* find(const std::string& name) const;  // null: there is none
};

weft::Result<Settings> read_settings(const weft::PluginOptions& options);

}  // namespace remote
