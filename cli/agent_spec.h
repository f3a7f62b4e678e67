// The lines that `weft agent` reads. They come over a transport that may do anything: every size is bounded, every key is
// known or refused, and each error says what was found and what was expected.
//
// The first line is the launch specification, a JSON object:
//
//   weft_agent      1, the version of this page (required)
//   argv            the program's path and its arguments (required)
//   env             [["NAME", "value"], ...], put over the agent's own environment
//   cwd             where the rank starts; default: where the agent does
//   cpus            CPU affinity, [0, 1]; default: the agent's own
//   log_path        where stdout and stderr are appended, missing directories made; default: discarded
//   name            for messages: "replica-0/1 rank 3"
//   grace_ms        what the rank gets between TERM and KILL when the agent's input ends; default 0: KILL at once
//   die_with_input  false: the end of the input is not the rank's end; default true
//
// Or, instead of one, the question what this node has:
//
//   {"weft_agent": 1, "describe": true}
//
// A text is a JSON string; bytes that are not UTF-8 are {"base64": "..."}. Each further line is a command:
//
//   {"stop": {"grace_ms": 500}}    TERM to the rank's process group, KILL after the grace
//   {"signal": 10}                 a signal to the rank's process group
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "weft/executor.h"
#include "weft/status.h"

namespace weft::cli {

inline constexpr int agent_version = 1;
inline constexpr std::size_t longest_agent_specification = std::size_t{16} << 20;  // bytes
inline constexpr std::size_t longest_agent_command = 4096;                         // bytes

struct AgentSpecification {
  RankSpec rank;
  std::string directory;  // empty: the agent's
  std::string name;
  Duration grace{};
  bool die_with_input = true;
  bool describe = false;  // nothing is to be started
};

struct AgentCommand {
  int signal = 0;  // 0: stop
  Duration grace{};
};

Result<AgentSpecification> parse_agent_specification(std::string_view line);
Result<AgentCommand> parse_agent_command(std::string_view line);

}  // namespace weft::cli
