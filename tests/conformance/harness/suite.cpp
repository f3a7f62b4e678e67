#include "tests/conformance/harness/suite.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <sstream>

#include "core/plugin/kinds.h"
#include "tests/conformance/harness/cases.h"
#include "tests/conformance/harness/interrupts.h"
#include "tests/conformance/harness/mustpass.h"
#include "tests/conformance/harness/plugin_file.h"
#include "tests/conformance/harness/plugin_options.h"
#include "tests/conformance/harness/report.h"
#include "tests/conformance/harness/run_cases.h"
#include "tests/conformance/harness/select.h"

namespace weft::conformance {
namespace {

namespace fs = std::filesystem;
constexpr std::chrono::seconds command_limit{120};

int say(int code, std::string_view message) {
  fmt::print(stderr, "weft-conformance: {}\n", message);
  return code;
}

std::string one_line(std::string text) {
  for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos;)
    text.replace(at, 1, " | ");
  return text;
}

void print_result(const CaseResult& result) {
  std::string line = fmt::format("{:<7} {:<6} {:7.3f} s  {}", to_string(result.outcome), result.tested->id,
                                 result.seconds, result.tested->title);
  if (!result.message.empty()) line += fmt::format(": {}", one_line(result.message));
  if (result.outcome == Outcome::xfail)
    line += fmt::format(" (waived: {}, {})", result.waiver->reason, result.waiver->link);
  if (!is_good(result.outcome)) line += fmt::format("; again with: {}", result.repeat);
  fmt::print("{}\n", line);
  for (const std::string& note : result.notes)
    fmt::print("        note: {}\n", one_line(note));
  if (!is_good(result.outcome)) {
    std::stringstream output(result.output);
    for (std::string written; std::getline(output, written);)
      fmt::print("        | {}\n", written);
  }
  std::fflush(stdout);
}

void list_cases(const std::vector<const Case*>& cases) {
  for (const Case* one : cases)
    fmt::print("{:<6} {:<4} {}{}\n", one->id, to_string(one->level), one->title,
               *one->needs == '\0' ? "" : fmt::format("  [{}]", one->needs));
}

void print_summary(const RunResult& run, std::uint64_t seed) {
  std::array<int, outcome_count> counts{};
  for (const CaseResult& one : run.cases)
    ++counts[static_cast<std::size_t>(one.outcome)];
  std::string line;
  for (std::size_t outcome = 0; outcome < counts.size(); ++outcome)
    if (counts[outcome] > 0)
      line +=
          fmt::format("{}{} {}", line.empty() ? "" : ", ", counts[outcome], to_string(static_cast<Outcome>(outcome)));
  fmt::print("{} cases: {} (seed {})\n", run.cases.size(), line.empty() ? "none" : line, seed);
}

void warn_of_expired(const Profile& profile) {
  const std::string day = today();
  for (const Waiver& waiver : profile.waivers)
    if (day >= waiver.expires)
      say(0, fmt::format("the waiver for {} ('{}') expired on {} and counts no more", waiver.case_id, waiver.reason,
                         waiver.expires));
}

// Whether create takes what the profile has for it; else each case would fail by the same slip. After the set-up, which it may
// need. What else may be wrong with create is for the cases to say.
Status rehearse(const RunSpec& spec, const PluginInfo& plugin) {
  if (spec.profile.config.empty()) return {};
  const DiscoveredPlugin row =
      rehearse_plugin(spec.plugin_file, spec.profile.limit("time_scale"), plugin_options(spec.profile, plugin).options);
  if (!row.refusal || row.refusal->stage != Stage::create || row.refusal->error.code != ErrorCode::invalid_argument)
    return {};
  std::string keys;  // which of them create minds is in its own words
  for (const auto& [key, text] : spec.profile.config)
    keys += (keys.empty() ? "" : ", ") + key;
  return fail(annotate(row.refusal->error, fmt::format("{}: [config] {}", spec.profile.path, keys)));
}

// Set-up, the cases, tear-down whatever happened.
Result<RunResult> run_between(const RunSpec& spec, const PluginInfo& plugin) {
  const std::string directory = fs::path(spec.profile.path).parent_path().string();
  const auto run = [&]() -> Result<RunResult> {
    WEFT_TRY_CONTEXT(run_command(spec.profile.setup, directory, command_limit), "set-up");
    WEFT_TRY(rehearse(spec, plugin));
    return run_cases(spec);
  };
  Result<RunResult> result = run();
  if (const Status undone = run_command(spec.profile.teardown, directory, command_limit); !undone)
    say(0, "tear-down: " + undone.error().message);
  return result;
}

struct Chosen {
  std::vector<const Case*> cases;
  std::optional<MustPass> mustpass;  // the list that they are of
};

Result<Chosen> choose(const Arguments& arguments, const std::vector<Case>& cases) {
  if (arguments.mustpass.empty()) {
    WEFT_ASSIGN(selected, select_cases(cases, {.level = arguments.level, .filter = arguments.filter}));
    return Chosen{.cases = std::move(selected), .mustpass = std::nullopt};
  }
  WEFT_ASSIGN(list, load_mustpass(arguments.mustpass));
  WEFT_ASSIGN(listed, listed_cases(list, cases));
  return Chosen{.cases = std::move(listed), .mustpass = std::move(list)};
}

std::vector<Case> every_case() {
  std::vector<Case> cases;
  for (const auto& some : {plugin_cases(), executor_cases(), communicator_cases(), balancer_cases(), device_cases()})
    cases.insert(cases.end(), some.begin(), some.end());
  return cases;
}

// A waiver with a slip in its id would waive nothing, and nobody would know why the case fails.
Status check_waivers(const Profile& profile) {
  const std::vector<Case> cases = every_case();
  for (const Waiver& waiver : profile.waivers)
    if (std::none_of(cases.begin(), cases.end(), [&](const Case& one) { return waiver.case_id == one.id; }))
      return fail(
          ErrorCode::invalid_argument,
          fmt::format("{}: [[waiver]] for {}: there is no such case; --list shows all", profile.path, waiver.case_id));
  return {};
}

int finish(const Arguments& arguments, const RunSpec& spec, const PluginInfo& plugin, const RunResult& run) {
  print_summary(run, arguments.seed);
  if (spec.mustpass) {
    const Claim claim = claim_of(*spec.mustpass, spec.cases.size(), run.cases);
    fmt::print("suite version {}: {}\n", claim.version, claim.text());
  }
  if (!arguments.out.empty())
    if (const Status written = write_reports(arguments.out, spec, plugin, run); !written)
      return say(exit_usage, written.error().message);
  if (run.interrupted)
    return say(exit_interrupted,
               fmt::format("interrupted: {} of {} cases did not run", run.not_run(), run.cases.size()));
  return std::all_of(run.cases.begin(), run.cases.end(), [](const CaseResult& one) { return is_good(one.outcome); })
             ? exit_ok
             : exit_failed;
}

int run_plugin(const Arguments& arguments, const std::string& file, Profile profile) {
  const std::string kind = name_of_file(file)->kind;
  if (!profile.kind.empty() && profile.kind != kind)
    return say(exit_usage,
               fmt::format("{}: for plugins of kind {}, and {} is a {}", profile.path, profile.kind, file, kind));
  const std::vector<Case> cases = cases_for(kind);
  const auto chosen = choose(arguments, cases);
  if (!chosen) return say(exit_usage, chosen.error().message);
  if (arguments.list) {
    list_cases(chosen->cases);
    return exit_ok;
  }
  if (!arguments.out.empty())
    if (const Status ready = prepare_reports(arguments.out); !ready) return say(exit_usage, ready.error().message);
  profile.limits["time_scale"] = profile.limit("time_scale") * arguments.time_scale;
  const DiscoveredPlugin row = inspect_plugin(file, profile.limit("time_scale"));
  if (row.refusal) return say(exit_refused, row.refusal->error.message);
  if (const Status fits = check_plugin_options(profile, row.info); !fits) return say(exit_usage, fits.error().message);
  warn_of_expired(profile);
  const RunSpec spec{.cases = chosen->cases,
                     .capabilities = row.info.capabilities,
                     .plugin_file = file,
                     .program = fs::read_symlink("/proc/self/exe").string(),
                     .mustpass = chosen->mustpass,
                     .profile = profile,
                     .seed = arguments.seed,
                     .level = arguments.level,
                     .jobs = arguments.jobs,
                     .retries = arguments.retries,
                     .time_scale = arguments.time_scale,
                     .done = print_result};
  fmt::print("{}/{} {} ({}), suite version {}, level {}\n", row.info.kind, row.info.name, row.info.version, file,
             suite_version, to_string(arguments.level));
  std::fflush(stdout);  // before a fork: a child must not print it again
  // From here to the last report: an interrupt ends the cases, and nothing else.
  const Interrupts held;
  const Result<RunResult> run = run_between(spec, row.info);
  if (!run) return say(exit_usage, run.error().message);
  return finish(arguments, spec, row.info, *run);
}

int list_everything(const Arguments& arguments) {
  const std::vector<Case> cases = every_case();
  const auto chosen = choose(arguments, cases);
  if (!chosen) return say(exit_usage, chosen.error().message);
  list_cases(chosen->cases);
  return exit_ok;
}

}  // namespace

int run_suite(const Arguments& arguments) {
  if (!arguments.page.empty()) {
    const Status written = write_page(arguments.page, arguments.report);
    return written ? exit_ok : say(exit_usage, written.error().message);
  }
  if (arguments.plugin.empty()) return list_everything(arguments);
  const Result<std::string> file = find_plugin(arguments.plugin, arguments.plugin_dirs);
  if (!file) return say(exit_usage, file.error().message);
  Profile profile;
  if (!arguments.profile.empty()) {
    Result<Profile> loaded = load_profile(fs::absolute(arguments.profile).string(), name_of_file(*file)->kind);
    if (!loaded) return say(exit_usage, loaded.error().message);
    profile = std::move(*loaded);
    if (const Status known = check_waivers(profile); !known) return say(exit_usage, known.error().message);
  }
  return run_plugin(arguments, *file, std::move(profile));
}

}  // namespace weft::conformance
