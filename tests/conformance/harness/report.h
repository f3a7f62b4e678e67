// What a run leaves in --out, and how a plugin's page shows it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "core/plugin/plugin_host.h"
#include "tests/conformance/harness/run_cases.h"
#include "weft/status.h"

namespace weft::conformance {

// Makes the directory where it is missing and sees that the reports can be written there, before an hour of cases is run
// for nothing. invalid_argument: they cannot.
Status prepare_reports(const std::string& directory);
// junit.xml, report.json and report.md in `directory`.
Status write_reports(const std::string& directory, const RunSpec& spec, const PluginInfo& plugin, const RunResult& run);

// All of report.json: suite, plugin, host, level, seed, counts and cases.
nlohmann::json report_json(const RunSpec& spec, const PluginInfo& plugin, const RunResult& run);
// The tables of report.md out of a report.json. invalid_argument where that is none.
Result<std::string> report_markdown(const nlohmann::json& report);
std::string junit_xml(const RunSpec& spec, const PluginInfo& plugin, const RunResult& run);

// Puts report_markdown between <!-- conformance --> and <!-- /conformance --> of the page, which must have both.
Status write_page(const std::string& page, const std::string& report);

}  // namespace weft::conformance
