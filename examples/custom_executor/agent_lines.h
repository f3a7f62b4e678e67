// The lines that `weft agent` reads and writes, JSON each (`weft agent --help`). Whatever comes from the other side may be
// anything: a login shell's greeting, half a line, a lie. What is no event is noise and says so.
#pragma once

#include <weft/executor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace remote {

// To the agent, each with its newline.
std::string launch_line(const weft::GangSpec& gang, const weft::RankSpec& rank);
std::string describe_line();
std::string stop_line(weft::Duration grace);

// From the agent.
struct AgentEvent {
  enum class Kind { noise, started, exit, error, node } kind = Kind::noise;
  std::int64_t pid = 0;    // started
  weft::Exit exit;         // exit
  std::string detail;      // error
  std::vector<int> cpus;   // node
  weft::Bytes memory = 0;  // node
};
AgentEvent read_event(const std::string& line);

}  // namespace remote
