#include "weft/plugin.h"

#include "tests/conformance/mutants/executor/mutant_executor.h"

namespace {

constexpr const char* capabilities[] = {weft::ExecutorLogTail::capability};

weft::Result<std::unique_ptr<weft::Executor>> create(const weft::PluginOptions&, weft::HostServices&) {
  return std::make_unique<weft::mutant::MutantExecutor>();
}

}  // namespace

WEFT_PLUGIN(weft::Executor, {.name = "mutant",
                             .version = "1.0.0",
                             .summary = "starts ranks below keepers, and breaks a rule",
                             .capabilities = capabilities,
                             .create = &create})
