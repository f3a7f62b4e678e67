#include "weft/plugin.h"
#include "mp_executor.h"

namespace {

constexpr const char* capabilities[] = {weft::ExecutorLogTail::capability};

constexpr weft::OptionSpec options[] = {
    {"cpus", weft::OptionSpec::Type::string, "\"\"", nullptr,
     "Logical CPUs that ranks may use, as in \"0-3,8\"; empty: those that weft itself may use."},
    {"bind", weft::OptionSpec::Type::boolean, "true", nullptr,
     "Bind each rank to its own cores; false where other busy programs share the machine."},
    {"node_name", weft::OptionSpec::Type::string, "\"\"", nullptr,
     "Name of this machine in plans and logs; empty: the host's name."},
    {"cgroups", weft::OptionSpec::Type::boolean, "true", nullptr,
     "Keep each rank in a cgroup of its own, where weft may make some, so that whatever it started ends with it."},
};

weft::Result<std::unique_ptr<weft::Executor>> create(const weft::PluginOptions& values, weft::HostServices& host) {
  WEFT_ASSIGN(cpus, weft::mp::parse_cpu_list(values.get<std::string>("cpus")));
  weft::mp::MpOptions made{.cpus = std::move(cpus),
                           .bind = values.get<bool>("bind"),
                           .node_name = values.get<std::string>("node_name"),
                           .cgroups = values.get<bool>("cgroups")};
  WEFT_TRY(weft::mp::machine_inventory(made));
  return std::make_unique<weft::mp::MpExecutor>(std::move(made), host);
}

}  // namespace

WEFT_PLUGIN(weft::Executor, {.name = "mp",
                             .version = "0.1.0",
                             .summary = "Starts each rank as a process of this machine.",
                             .capabilities = capabilities,
                             .options = options,
                             .create = create})
