// One rule of docs/plugins/contract.md, or of its kind's page in docs/plugins/contract/, as something that can be run. Cases
// stand in tables beside their bodies, one file a group of rules; cases.h gathers them.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>

namespace weft::conformance {

class Context;

// A level includes those before it. must: what mustpass/ freezes, about a minute a plugin; full: every combination;
// soak: minutes a case, for leaks and rare orders of events.
enum class Level : std::uint8_t { must = 0, full = 1, soak = 2 };

struct Case {
  const char* id;  // "EX-07": the rule's number in the contract; never used again for another rule
  Level level;
  const char*
      needs;  // capabilities and profile words ("cap:log_tails fixture:nodes=2"), by spaces; "": none. SKIP without
  const char* since;      // the suite's version that brought it: "1"
  const char* title;      // a sentence: "a rank's exit is reported exactly once, with its cause"
  const char* rationale;  // why a plugin is asked for this, one or two sentences
  void (*body)(Context& context);
  std::chrono::seconds limit{20};  // after which its processes are killed and it is a TIMEOUT
};

// What the suite's binary does when a plugin starts it as a rank: `weft-conformance @NAME argument...`. Runs before
// anything else of the binary; returns the exit code.
struct Program {
  const char* name;  // with its "@"
  int (*run)(std::span<char*> arguments);
};

}  // namespace weft::conformance
