#include <unistd.h>

#include "cli/agent_session.h"
#include "cli/commands.h"

namespace weft::cli {

void add_agent(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand(
      "agent", "Starts one rank as standard input says and reports its exit; executors run it on other machines");
  command->footer(
      "Standard input: one line of JSON that says what to start, then commands; when it ends, the rank is killed.\n"
      "  {\"weft_agent\": 1, \"argv\": [\"/path/of/program\", ...], \"env\": [[\"NAME\", \"value\"], ...], \"cwd\": "
      "\"...\",\n"
      "   \"cpus\": [0, 1], \"log_path\": \"...\", \"name\": \"for messages\", \"grace_ms\": 0, \"die_with_input\": "
      "true}\n"
      "  {\"stop\": {\"grace_ms\": 500}}      TERM to its process group, KILL after the grace\n"
      "  {\"signal\": 10}                   a signal to its process group\n"
      "Bytes that are not UTF-8 are {\"base64\": \"...\"} instead of a string.\n\n"
      "Standard output: {\"event\":\"started\",\"pid\":4711}, then\n"
      "{\"event\":\"exit\",\"cause\":\"code\"|\"signal\"|\"never_started\",\"value\":3,\"detail\":\"\"}.\n\n"
      "Or the one line {\"weft_agent\": 1, \"describe\": true}: "
      "{\"event\":\"node\",\"host\":\"left\",\"cpus\":[0,1],\"memory\":BYTES} "
      "says what this node has.\n\n"
      "Exit codes: 0 the exit or the node was reported, 2 no launch specification, 5 it could not start.\n\n"
      "Example:\n"
      "  echo '{\"weft_agent\": 1, \"argv\": [\"/bin/sh\", \"-c\", \"exit 3\"], \"die_with_input\": false}' | weft "
      "agent");
  command->callback([&exit_code] { exit_code = run_agent(STDIN_FILENO, STDOUT_FILENO); });
}

}  // namespace weft::cli
