#include "tests/conformance/harness/report.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "tests/conformance/harness/arguments.h"

namespace weft::conformance {
namespace {

using nlohmann::json;
constexpr std::string_view begin_mark = "<!-- conformance -->";
constexpr std::string_view end_mark = "<!-- /conformance -->";
constexpr const char* report_files[] = {"report.json", "junit.xml", "report.md"};

std::string compiler() {
#if defined(__clang__)
  return fmt::format("clang {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
  return fmt::format("gcc {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
}

json host_json() {
  struct utsname name {};
  ::uname(&name);
  return {{"system", name.sysname},
          {"release", name.release},
          {"machine", name.machine},
          {"cpus", std::thread::hardware_concurrency()},
          {"compiler", compiler()}};
}

json case_json(const CaseResult& one) {
  json made{{"id", one.tested->id},
            {"level", to_string(one.tested->level)},
            {"needs", one.tested->needs},
            {"title", one.tested->title},
            {"outcome", to_string(one.outcome)},
            {"seconds", one.seconds},
            {"message", one.message},
            {"notes", one.notes},
            {"proves", one.proven},
            {"attempts", one.attempts},
            {"repeat", one.repeat}};
  if (!is_good(one.outcome)) made["output"] = one.output;
  if (one.waiver)
    made["waiver"] = {{"reason", one.waiver->reason}, {"link", one.waiver->link}, {"expires", one.waiver->expires}};
  return made;
}

Status write_file(const std::filesystem::path& path, std::string_view text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file) return fail(ErrorCode::resource_exhausted, fmt::format("{}: cannot be written", path.string()));
  return {};
}

Result<std::string> read_text(const std::string& path) {
  std::error_code error;
  if (std::filesystem::exists(path, error) && !std::filesystem::is_regular_file(path, error))
    return fail(ErrorCode::invalid_argument, path + ": not a regular file");
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorCode::not_found, path + ": cannot be read");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// A text inside XML: bytes that are not UTF-8 are replaced, and control characters, which XML 1.0 cannot write, become '?'.
std::string xml(const std::string& text) {
  std::string out;
  const std::string clean = json::parse(json(text).dump(-1, ' ', false, json::error_handler_t::replace));
  for (const char letter : clean) {
    if (letter == '&')
      out += "&amp;";
    else if (letter == '<')
      out += "&lt;";
    else if (letter == '>')
      out += "&gt;";
    else if (letter == '"')
      out += "&quot;";
    else
      out += static_cast<unsigned char>(letter) < 0x20 && letter != '\n' && letter != '\t' ? '?' : letter;
  }
  return out;
}

// A text inside a cell of a table.
std::string cell(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2)
    text.insert(at, "\\");
  return text;
}

// Whether a case asks for a capability, or has put it to work.
bool is_about(const json& one, const std::string& capability) {
  std::stringstream needs(one.at("needs").get<std::string>());
  for (std::string need; needs >> need;)
    if (need == "cap:" + capability) return true;
  const json& proves = one.at("proves");
  return std::find(proves.begin(), proves.end(), capability) != proves.end();
}

// "3 of 4 pass: EX-20, EX-21, ..." of the cases that are about a capability.
std::string proof_of(const json& cases, const std::string& capability) {
  std::string ids;
  int all = 0;
  int passed = 0;
  for (const json& one : cases) {
    if (one.at("outcome") == "SKIP" || !is_about(one, capability)) continue;
    ++all;
    passed += one.at("outcome") == "PASS" ? 1 : 0;
    ids += (ids.empty() ? "" : ", ") + one.at("id").get<std::string>();
  }
  return all == 0 ? "no case of this run" : fmt::format("{} of {} pass: {}", passed, all, ids);
}

std::string markdown_of(const json& report) {
  const json& plugin = report.at("plugin");
  // One after the other: which error comes first is not the compiler's choice.
  const std::string id = plugin.at("id").get<std::string>();
  const std::string suite = report.at("suite").get<std::string>();
  std::string text =
      fmt::format("Suite version {}, level {}: {} {} ({}).\n\n", suite, report.at("level").get<std::string>(), id,
                  plugin.at("version").get<std::string>(), plugin.at("fingerprint").get<std::string>());
  if (const json& claim = report.at("claim"); !claim.is_null())
    text += fmt::format("Suite version {} is {} (list {:.12}).\n\n", claim.at("version").get<std::string>(),
                        claim.at("text").get<std::string>(), claim.at("list_sha256").get<std::string>());
  if (report.at("interrupted").get<bool>())
    text += fmt::format("**The run was interrupted: {} of {} cases did not run.**\n\n",
                        report.at("counts").value("NOT_RUN", 0), report.at("cases").size());
  text += "| outcome | cases |\n|---|---|\n";
  for (const auto& [outcome, count] : report.at("counts").items())
    text += fmt::format("| {} | {} |\n", outcome, count.get<int>());
  text += "\n| capability declared | proven |\n|---|---|\n";
  for (const json& capability : plugin.at("capabilities"))
    text += fmt::format("| `{}` | {} |\n", capability.get<std::string>(),
                        proof_of(report.at("cases"), capability.get<std::string>()));
  if (plugin.at("capabilities").empty()) text += "| none | |\n";
  text += "\n| case | outcome | rule |\n|---|---|---|\n";
  for (const json& one : report.at("cases")) {
    std::string rule = one.at("title").get<std::string>();
    if (one.at("outcome") != "PASS" && !one.at("message").get<std::string>().empty())
      rule += ": " + one.at("message").get<std::string>();
    text += fmt::format("| {} | {} | {} |\n", one.at("id").get<std::string>(), one.at("outcome").get<std::string>(),
                        cell(rule));
  }
  return text;
}

}  // namespace

json report_json(const RunSpec& spec, const PluginInfo& plugin, const RunResult& run) {
  json counts = json::object();
  json cases = json::array();
  for (const CaseResult& one : run.cases) {
    const std::string outcome(to_string(one.outcome));
    counts[outcome] = counts.value(outcome, 0) + 1;
    cases.push_back(case_json(one));
  }
  json claimed;  // null: the run was not of a list
  if (spec.mustpass) {
    const Claim claim = claim_of(*spec.mustpass, spec.cases.size(), run.cases);
    claimed = {{"version", claim.version}, {"list_sha256", claim.list_sha256},
               {"holds", claim.holds},     {"rules", claim.rules},
               {"passed", claim.passed},   {"skipped", claim.skipped},
               {"waived", claim.waived},   {"text", claim.text()}};
  }
  return {{"suite", suite_version},
          {"claim", claimed},
          {"plugin",
           {{"id", plugin.kind + "/" + plugin.name},
            {"kind", plugin.kind},
            {"name", plugin.name},
            {"version", plugin.version},
            {"file", plugin.file},
            {"sha256", plugin.sha256},
            {"fingerprint", plugin.fingerprint},
            {"capabilities", plugin.capabilities}}},
          {"host", host_json()},
          {"profile", spec.profile.path},
          {"level", to_string(spec.level)},
          {"seed", spec.seed},
          {"interrupted", run.interrupted},
          {"counts", counts},
          {"cases", cases}};
}

Result<std::string> report_markdown(const json& report) {
  try {
    return markdown_of(report);
  } catch (const json::exception& error) {
    const std::string text = error.what();  // "[json.exception.out_of_range.403] key 'plugin' not found"
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}; expected a report.json that weft-conformance --out has left",
                            text.substr(text.find("] ") + 2)));
  }
}

std::string junit_xml(const RunSpec& spec, const PluginInfo& plugin, const RunResult& run) {
  const std::string name = xml(plugin.kind + "/" + plugin.name);
  int skipped = 0;
  int failed = 0;
  double seconds = 0;
  std::string cases;
  for (const CaseResult& one : run.cases) {
    seconds += one.seconds;
    cases += fmt::format("  <testcase classname=\"{}\" name=\"{} {}\" time=\"{:.3f}\">", name, one.tested->id,
                         xml(one.tested->title), one.seconds);
    if (one.outcome == Outcome::skip || one.outcome == Outcome::xfail) {
      ++skipped;
      cases += fmt::format("<skipped message=\"{}: {}\"/>", to_string(one.outcome), xml(one.message));
    } else if (one.outcome == Outcome::not_run) {
      cases += fmt::format("<error type=\"NOT_RUN\" message=\"{}\">{}</error>", xml(one.message), xml(one.repeat));
    } else if (!is_good(one.outcome)) {
      ++failed;
      cases += fmt::format("<failure type=\"{}\" message=\"{}\">{}</failure><system-out>{}</system-out>",
                           to_string(one.outcome), xml(one.message), xml(one.repeat), xml(one.output));
    }
    cases += "</testcase>\n";
  }
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"weft-conformance {} {}\" tests=\"{}\" "
      "failures=\"{}\" errors=\"{}\" "
      "skipped=\"{}\" time=\"{:.3f}\">\n  <properties><property name=\"seed\" "
      "value=\"{}\"/></properties>\n{}</testsuite>\n",
      suite_version, name, run.cases.size(), failed, run.not_run(), skipped, seconds, spec.seed, cases);
}

// Opened for appending: what an earlier run left there stays until this one has something to say.
Status prepare_reports(const std::string& directory) {
  const std::filesystem::path folder(directory);
  const auto refused = [&](const std::filesystem::path& what, int reason) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("--out {}: {}: {}; expected a directory that {} can be written in", directory,
                            what.string(), std::strerror(reason), fmt::join(report_files, ", ")));
  };
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return refused(folder, error.value());
  for (const char* name : report_files) {
    const bool there = std::filesystem::exists(folder / name, error);
    const int file = ::open((folder / name).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0666);
    if (file < 0) return refused(folder / name, errno);
    ::close(file);
    if (!there) std::filesystem::remove(folder / name, error);
  }
  return {};
}

Status write_reports(const std::string& directory, const RunSpec& spec, const PluginInfo& plugin,
                     const RunResult& run) {
  const std::filesystem::path folder(directory);
  const json report = report_json(spec, plugin, run);
  WEFT_TRY(write_file(folder / "report.json", report.dump(2, ' ', false, json::error_handler_t::replace) + "\n"));
  WEFT_TRY(write_file(folder / "junit.xml", junit_xml(spec, plugin, run)));
  WEFT_ASSIGN(markdown, report_markdown(report));
  return write_file(folder / "report.md",
                    fmt::format("# Conformance of {}/{}\n\n{}", plugin.kind, plugin.name, markdown));
}

Status write_page(const std::string& page, const std::string& report) {
  WEFT_ASSIGN(text, read_text(page));
  WEFT_ASSIGN(source, read_text(report));
  const json parsed = json::parse(source, nullptr, false);
  if (!parsed.is_object())
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: {}; expected a report.json that weft-conformance --out has left", report,
                            parsed.is_discarded() ? "not JSON" : "JSON, and no object"));
  WEFT_ASSIGN_CONTEXT(markdown, report_markdown(parsed), report);
  const std::size_t begin = text.find(begin_mark);
  const std::size_t end = text.find(end_mark);
  if (begin == std::string::npos || end == std::string::npos || end < begin)
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: expected the lines {} and {}", page, begin_mark, end_mark));
  const std::size_t inside = begin + begin_mark.size();
  text.replace(inside, end - inside, "\n" + markdown);
  return write_file(page, text);
}

}  // namespace weft::conformance
