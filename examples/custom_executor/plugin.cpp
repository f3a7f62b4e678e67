// executor/remote: what Weft sees of it.
#include <weft/plugin.h>

#include <array>

#include "executor.h"

namespace {

using Type = weft::OptionSpec::Type;

constexpr std::array options{
    weft::OptionSpec{.key = "command",
                     .type = Type::string_list,
                     .default_value = "[]",
                     .help = "What runs a program on a node, with {node} and {address} replaced, as in [\"ssh\", "
                             "\"{node}\"]; empty: it is run on this machine."},
    weft::OptionSpec{.key = "nodes",
                     .type = Type::string_list,
                     .default_value = "[\"localhost\"]",
                     .help = "Names of the nodes, as the command takes them."},
    weft::OptionSpec{.key = "addresses",
                     .type = Type::string_list,
                     .default_value = "[]",
                     .help = "How each node is reached by the others, in the order of nodes; empty: by its name."},
    weft::OptionSpec{.key = "cpus",
                     .type = Type::string_list,
                     .default_value = "[]",
                     .help =
                         "Logical CPUs that ranks may use on each node, as in [\"0-3\", \"0-3\"], \"\" where the node "
                         "is to be asked; empty: all nodes are asked."},
    weft::OptionSpec{
        .key = "agent",
        .type = Type::string,
        .default_value = "\"\"",
        .help = "The program weft on the nodes, a path or what their PATH finds; empty: where it lies here, as "
                "its workers must as well."},
    weft::OptionSpec{.key = "connect_timeout",
                     .type = Type::duration,
                     .default_value = "\"30s\"",
                     .range = "10ms..1h",
                     .help = "From the start of the command until the rank's agent has started it."},
    weft::OptionSpec{
        .key = "answer_timeout",
        .type = Type::duration,
        .default_value = "\"10s\"",
        .range = "10ms..1h",
        .help = "How long after a stop and its grace an agent may be silent until its node counts as lost."},
};

weft::Result<std::unique_ptr<weft::Executor>> create(const weft::PluginOptions& values, weft::HostServices& host) {
  WEFT_ASSIGN(settings, remote::read_settings(values));
  return std::make_unique<remote::RemoteExecutor>(std::move(settings), host);
}

constexpr std::array capabilities{"several_nodes"};

}  // namespace

WEFT_PLUGIN(weft::Executor, {.name = "remote",
                             .version = "1.0.0",
                             .summary = "Starts each rank through a command that reaches its node, such as ssh.",
                             .capabilities = capabilities,
                             .options = options,
                             .create = &create})
