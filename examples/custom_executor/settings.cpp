#include "settings.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>

namespace remote {
namespace {

using weft::ErrorCode;
using weft::fail;
using weft::Result;

constexpr int highest_cpu = 65'535;

std::string replace_all(std::string text, const std::string& what, const std::string& by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
    text.replace(at, what.size(), by);
  return text;
}

// "0-3,8" -> 0 1 2 3 8; "" -> none.
Result<std::vector<int>> read_cpus(const std::string& text) {
  std::vector<int> cpus;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    int first = -1;
    auto read = std::from_chars(at, end, first);
    int last = first;
    if (read.ec == std::errc() && read.ptr < end && *read.ptr == '-') read = std::from_chars(read.ptr + 1, end, last);
    const bool more = read.ptr + 1 < end && *read.ptr == ',';
    if (read.ec != std::errc() || first < 0 || last < first || last > highest_cpu || (read.ptr != end && !more))
      return fail(ErrorCode::invalid_argument,
                  "option cpus: '" + text + "': expected numbers and ranges, as in \"0-3,8\"");
    for (int cpu = first; cpu <= last; ++cpu)
      cpus.push_back(cpu);
    at = more ? read.ptr + 1 : end;
  }
  std::sort(cpus.begin(), cpus.end());
  cpus.erase(std::unique(cpus.begin(), cpus.end()), cpus.end());
  return cpus;
}

// One word a node, or none at all.
weft::Status expect_one_a_node(const char* option, const std::vector<std::string>& words, std::size_t nodes) {
  if (words.empty() || words.size() == nodes) return {};
  return fail(ErrorCode::invalid_argument, std::string("option ") + option + ": " + std::to_string(words.size()) +
                                               " for " + std::to_string(nodes) +
                                               " nodes; expected one a node, in the order of 'nodes', or none");
}

// ssh takes user@host; others reach the host.
std::string host_of(const std::string& name) {
  const std::size_t at = name.rfind('@');
  return at == std::string::npos ? name : name.substr(at + 1);
}

// This program is weft, or lies beside it (weft-conformance).
Result<std::string> weft_of_this_program() {
  std::error_code code;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", code);
  if (code) return fail(ErrorCode::unavailable, "/proc/self/exe: " + code.message() + "; set option agent");
  return (program.parent_path() / "weft").string();
}

}  // namespace

std::vector<std::string> Settings::agent_command(const NodeSettings& node) const {
  std::vector<std::string> words;
  for (const std::string& word : command)
    words.push_back(replace_all(replace_all(word, "{node}", node.name), "{address}", node.address));
  words.push_back(agent);
  words.emplace_back("agent");
  return words;
}

const NodeSettings* Settings::find(const std::string& name) const {
  const auto found = std::find_if(nodes.begin(), nodes.end(), [&](const auto& node) { return node.name == name; });
  return found == nodes.end() ? nullptr : &*found;
}

Result<Settings> read_settings(const weft::PluginOptions& options) {
  Settings settings;
  settings.command = options.get<std::vector<std::string>>("command");
  settings.agent = options.get<std::string>("agent");
  settings.connect_timeout = std::chrono::nanoseconds(options.get<std::int64_t>("connect_timeout"));
  settings.answer_timeout = std::chrono::nanoseconds(options.get<std::int64_t>("answer_timeout"));
  if (settings.agent.empty()) {
    WEFT_ASSIGN(beside, weft_of_this_program());
    settings.agent = std::move(beside);
  }
  if (!settings.command.empty() && settings.command.front().empty())
    return fail(ErrorCode::invalid_argument, "option command: its first word, the program, is empty");

  const auto names = options.get<std::vector<std::string>>("nodes");
  const auto addresses = options.get<std::vector<std::string>>("addresses");
  const auto cpus = options.get<std::vector<std::string>>("cpus");
  if (names.empty()) return fail(ErrorCode::invalid_argument, "option nodes: expected at least one name");
  WEFT_TRY(expect_one_a_node("addresses", addresses, names.size()));
  WEFT_TRY(expect_one_a_node("cpus", cpus, names.size()));
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i].empty() || settings.find(names[i]) != nullptr)
      return fail(ErrorCode::invalid_argument,
                  "option nodes: '" + names[i] + "' is empty or there twice; expected names that differ");
    NodeSettings node{.name = names[i], .address = settings.command.empty() ? "127.0.0.1" : host_of(names[i])};
    if (!addresses.empty()) node.address = addresses[i];
    if (!cpus.empty()) {
      WEFT_ASSIGN(read, read_cpus(cpus[i]));
      node.cpus = std::move(read);
    }
    settings.nodes.push_back(std::move(node));
  }
  return settings;
}

}  // namespace remote
