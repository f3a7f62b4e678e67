#include "tests/conformance/harness/arguments.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <random>

namespace weft::conformance {
namespace {

// A variable of a script that is empty would else mean "all", "none" or "here" without a word.
std::string refuse_empty(const std::string& text) {
  return text.empty() ? "it is empty; give it a value or leave it out" : "";
}

// CLI11 takes a minus for the unsigned number below it, and what is too large for the largest.
std::string refuse_no_seed(const std::string& text) {
  std::uint64_t seed = 0;
  const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), seed);
  const bool good = wrong == std::errc() && end == text.data() + text.size();
  return good ? "" : fmt::format("'{}', expected a whole number from 0 to 18446744073709551615", text);
}

}  // namespace

ParsedArguments parse_arguments(int argc, char** argv) {
  Arguments arguments;
  arguments.seed = std::random_device{}();
  CLI::App app{
      "weft-conformance runs every rule of docs/plugins/contract.md and contract/KIND.md beside it that applies to a\n"
      "plugin, and says which hold."};
  app.footer(
      "Example:\n  weft-conformance --plugin build/libweft-executor-mine.so --level full --out report/\n\n"
      "Exit codes: 0 every case that ran holds, 1 one does not, 2 usage, 4 the plugin was refused, 130 interrupted.");
  app.set_version_flag("--version", fmt::format("weft-conformance, suite version {}", suite_version));
  app.add_option("--plugin", arguments.plugin, "libweft-KIND-NAME.so, or kind/name to be looked for as weft does");
  app.add_option("--plugin-dir", arguments.plugin_dirs, "look here first for kind/name (again for more)");
  app.add_option("--profile", arguments.profile, "options, fixtures, limits, set-up and waivers, in TOML");
  std::string level = "must";
  app.add_option("--level", level, "must (about a minute), full, or soak")
      ->check(CLI::IsMember({"must", "full", "soak"}));
  app.add_option("--filter", arguments.filter, "by commas: ids (of any level), globs over ids, words of titles");
  app.add_option("--jobs", arguments.jobs, "cases at once")->check(CLI::Range(1, 256));
  app.add_option("--out", arguments.out, "a directory for junit.xml, report.json and report.md");
  app.add_option("--seed", arguments.seed, "of what cases draw at random; printed where none is given")
      ->check(refuse_no_seed);
  app.add_flag("--list", arguments.list, "say which cases there are, and run none");
  app.add_option("--retries", arguments.retries, "try a failing case again, so often; one that then passes is a FLAKE")
      ->check(CLI::Range(0, 100));
  app.add_option("--time-scale", arguments.time_scale,
                 "stretch every deadline and bound on time by this (slow machines)")
      ->check(CLI::Range(0.01, 1000.0));
  app.add_option("--mustpass", arguments.mustpass, "run what this file (mustpass/v1.txt) lists and claim its version");
  app.add_option("--page", arguments.page, "write the results of --report between the markers of this page");
  app.add_option("--report", arguments.report, "a report.json, for --page");
  for (const char* name :
       {"--plugin", "--plugin-dir", "--profile", "--filter", "--out", "--mustpass", "--page", "--report"})
    app.get_option(name)->check(refuse_empty);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return {std::nullopt, app.exit(error) == 0 ? exit_ok : exit_usage};
  }
  arguments.level = level == "must" ? Level::must : level == "full" ? Level::full : Level::soak;
  if (!arguments.mustpass.empty() && !arguments.filter.empty()) {
    fmt::print(stderr, "weft-conformance: --mustpass runs all that its file lists: leave --filter out\n");
    return {std::nullopt, exit_usage};
  }
  const bool runs = !arguments.plugin.empty();
  const bool writes = !arguments.page.empty() && !arguments.report.empty();
  if (static_cast<int>(runs) + static_cast<int>(writes) + static_cast<int>(arguments.list && !runs) != 1) {
    fmt::print(stderr,
               "weft-conformance: expected --plugin, --list, or --page with --report; --help shows an example\n");
    return {std::nullopt, exit_usage};
  }
  return {arguments, exit_ok};
}

}  // namespace weft::conformance
