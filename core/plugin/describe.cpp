#include "core/plugin/describe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/plugin/kinds.h"

namespace weft {
namespace {

// Control characters would move a terminal's cursor or break a line in two.
std::string one_line(std::string_view text) {
  std::string line(text);
  std::replace_if(
      line.begin(), line.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return line;
}

std::string joined(const std::vector<std::string>& words) {
  return words.empty() ? "none" : one_line(fmt::format("{}", fmt::join(words, ", ")));
}

// "usable", "refused: probe", "shadowed".
std::string state_of(const DiscoveredPlugin& plugin) {
  if (plugin.refusal)
    return fmt::format("refused: {}", plugin.refusal->stage ? to_string(*plugin.refusal->stage) : "not checked");
  return plugin.shadowed ? "shadowed" : "usable";
}

// One line about it: why it was refused, which file hides it, or what it does.
std::string remark_on(const DiscoveredPlugin& plugin) {
  if (plugin.refusal) return one_line(plugin.refusal->error.message);
  if (plugin.shadowed) return "an earlier directory has a file of this name: this is " + plugin.file;
  return one_line(plugin.info.summary);
}

nlohmann::ordered_json option_json(const OptionDeclaration& option) {
  return {{"key", option.key},
          {"type", to_string(option.type)},
          {"default", option.default_text.value_or("")},
          {"required", !option.default_text.has_value()},
          {"range", option.range_text},
          {"help", option.help}};
}

std::string option_text(const OptionDeclaration& option) {
  return fmt::format("\n  {} ({}, {}{})\n    {}\n", option.key, to_string(option.type),
                     option.default_text ? "default " + one_line(*option.default_text) : "required",
                     option.range_text.empty() ? "" : ", " + one_line(option.range_text), one_line(option.help));
}

}  // namespace

std::vector<StageOutcome> stage_outcomes(const DiscoveredPlugin& plugin) {
  std::vector<StageOutcome> outcomes;
  for (int number = 0; number < stage_count; ++number) {
    const auto stage = static_cast<Stage>(number);
    std::string_view outcome = "passed";
    if (plugin.refusal && !plugin.refusal->stage)
      outcome = "not reached";
    else if (plugin.refusal)
      outcome = stage < *plugin.refusal->stage ? "passed" : stage == *plugin.refusal->stage ? "failed" : "not reached";
    else if (stage == Stage::create && !plugin.created)
      outcome = "not tried";
    outcomes.push_back({stage, outcome});
  }
  return outcomes;
}

std::string id_of_file(std::string_view file) {
  constexpr std::string_view front = "libweft-";
  constexpr std::string_view back = ".so";
  std::string_view name = file.substr(file.rfind('/') + 1);
  if (!name.starts_with(front) || !name.ends_with(back) || name.size() < front.size() + back.size())
    return std::string(name);
  const std::string_view middle = name.substr(front.size(), name.size() - front.size() - back.size());
  const std::size_t dash = middle.find('-');
  if (dash == std::string_view::npos || dash == 0 || dash + 1 == middle.size()) return std::string(name);
  return fmt::format("{}/{}", middle.substr(0, dash), middle.substr(dash + 1));
}

std::vector<std::string> lacked_capabilities(const PluginInfo& info) {
  std::vector<std::string> lacked;
  if (const PluginKind* kind = find_kind(info.kind))
    for (const std::string& capability : kind->capabilities)
      if (std::find(info.capabilities.begin(), info.capabilities.end(), capability) == info.capabilities.end())
        lacked.push_back(capability);
  return lacked;
}

std::string plugins_text(std::span<const DiscoveredPlugin> plugins) {
  std::size_t id_width = 0;
  std::size_t version_width = 0;
  std::size_t state_width = 0;
  for (const DiscoveredPlugin& plugin : plugins) {
    id_width = std::max(id_width, id_of_file(plugin.file).size());
    version_width = std::max(version_width, one_line(plugin.info.version).size());
    state_width = std::max(state_width, state_of(plugin).size());
  }
  std::string text;
  for (const DiscoveredPlugin& plugin : plugins)
    text += fmt::format("{:<{}}  {:<{}}  {:<{}}  {}\n", one_line(id_of_file(plugin.file)), id_width,
                        one_line(plugin.info.version), version_width, state_of(plugin), state_width, remark_on(plugin));
  return text;
}

nlohmann::ordered_json plugins_json(std::span<const DiscoveredPlugin> plugins) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const DiscoveredPlugin& plugin : plugins)
    all.push_back(plugin_json(plugin));
  return all;
}

nlohmann::ordered_json plugin_json(const DiscoveredPlugin& plugin) {
  const PluginInfo& info = plugin.info;
  nlohmann::ordered_json options = nlohmann::ordered_json::array();
  for (const OptionDeclaration& option : info.options)
    options.push_back(option_json(option));
  nlohmann::ordered_json stages = nlohmann::ordered_json::array();
  for (const StageOutcome& stage : stage_outcomes(plugin))
    stages.push_back({{"stage", to_string(stage.stage)}, {"outcome", stage.outcome}});
  nlohmann::ordered_json json = {{"id", id_of_file(plugin.file)},
                                 {"kind", info.kind},
                                 {"name", info.name},
                                 {"version", info.version},
                                 {"summary", info.summary},
                                 {"file", plugin.file},
                                 {"origin", plugin.origin},
                                 {"sha256", info.sha256},
                                 {"fingerprint", info.fingerprint},
                                 {"capabilities", info.capabilities},
                                 {"capabilities_lacked", lacked_capabilities(info)},
                                 {"options", std::move(options)},
                                 {"warnings", info.warnings},
                                 {"shadowed", plugin.shadowed},
                                 {"usable", !plugin.refusal.has_value()},
                                 {"stages", std::move(stages)}};
  if (!plugin.refusal && !plugin.create_untried.empty()) json["create_not_tried_because"] = plugin.create_untried;
  if (plugin.refusal) {
    json["refused_at"] = plugin.refusal->stage ? to_string(*plugin.refusal->stage) : "";
    json["refused_because"] = plugin.refusal->error.message;
  }
  return json;
}

std::string plugin_text(const DiscoveredPlugin& plugin) {
  const PluginInfo& info = plugin.info;
  std::string text = fmt::format("{} {}\n", one_line(id_of_file(plugin.file)), one_line(info.version));
  const auto row = [&](std::string_view what, std::string_view value) {
    if (!value.empty()) text += fmt::format("{:<14}{}\n", what, one_line(value));
  };
  if (!info.summary.empty()) text += one_line(info.summary) + "\n";
  text += "\n";
  row("file", plugin.file);
  row("found", plugin.origin);
  row("sha256", info.sha256);
  row("fingerprint", info.fingerprint);
  row("state", state_of(plugin));
  if (plugin.refusal || plugin.shadowed) row("", remark_on(plugin));
  for (const std::string& warning : info.warnings)
    row("warning", warning);
  text += "\nstages\n";
  for (const StageOutcome& stage : stage_outcomes(plugin)) {
    const bool untried = stage.outcome == "not tried" && !plugin.create_untried.empty();
    text += fmt::format("  {:<14}{}{}\n", to_string(stage.stage), stage.outcome,
                        untried ? ": " + one_line(plugin.create_untried) : "");
  }
  text += fmt::format("\ncapabilities\n  provided      {}\n  lacked        {}\n", joined(info.capabilities),
                      joined(lacked_capabilities(info)));
  text += info.options.empty() ? "\noptions       none\n" : "\noptions\n";
  for (const OptionDeclaration& option : info.options)
    text += option_text(option);
  return text;
}

// Markdown.

std::string markdown_cell(std::string_view text) {
  std::string cell;
  for (const char c : one_line(text))
    cell += c == '|' ? std::string("\\|") : std::string(1, c);
  return cell;
}

std::string markdown_code(std::string_view text) {
  return text.empty() ? std::string() : "`" + markdown_cell(text) + "`";
}

std::string capabilities_markdown(const PluginInfo& info) {
  std::string text = "| capability | provided |\n|---|---|\n";
  for (const std::string& capability : info.capabilities)
    text += fmt::format("| {} | yes |\n", markdown_code(capability));
  for (const std::string& capability : lacked_capabilities(info))
    text += fmt::format("| {} | no |\n", markdown_code(capability));
  return text;
}

std::string options_markdown(const PluginInfo& info) {
  if (info.options.empty()) return "None.\n";
  std::string text = "| key | type | range | default | what |\n|---|---|---|---|---|\n";
  for (const OptionDeclaration& option : info.options)
    text +=
        fmt::format("| {} | {} | {} | {} | {} |\n", markdown_code(option.key), to_string(option.type),
                    markdown_cell(option.range_text),
                    option.default_text ? markdown_code(*option.default_text) : "required", markdown_cell(option.help));
  return text;
}

std::string plugins_markdown(std::span<const DiscoveredPlugin> plugins) {
  std::string text = "| plugin | version | state | |\n|---|---|---|---|\n";
  for (const DiscoveredPlugin& plugin : plugins)
    text += fmt::format("| {} | {} | {} | {} |\n", markdown_code(id_of_file(plugin.file)),
                        markdown_cell(plugin.info.version), state_of(plugin), markdown_cell(remark_on(plugin)));
  return text;
}

std::string plugin_markdown(const DiscoveredPlugin& plugin) {
  const PluginInfo& info = plugin.info;
  std::string text = fmt::format("# {}\n\n{}\n\n| | |\n|---|---|\n", markdown_cell(id_of_file(plugin.file)),
                                 info.summary.empty() ? "No summary." : one_line(info.summary));
  const auto row = [&](std::string_view what, std::string_view value) {
    if (!value.empty()) text += fmt::format("| {} | {} |\n", what, markdown_cell(value));
  };
  row("version", info.version);
  row("file", markdown_code(plugin.file));
  row("found", plugin.origin);
  row("sha256", markdown_code(info.sha256));
  row("fingerprint", markdown_code(info.fingerprint));
  row("state", state_of(plugin));
  if (plugin.refusal || plugin.shadowed) row("because", remark_on(plugin));
  for (const std::string& warning : info.warnings)
    row("warning", warning);
  text += "\n## Stages\n\n| stage | outcome |\n|---|---|\n";
  for (const StageOutcome& stage : stage_outcomes(plugin))
    text += fmt::format("| {} | {} |\n", to_string(stage.stage), stage.outcome);
  return text + "\n## Capabilities\n\n" + capabilities_markdown(info) + "\n## Options\n\n" + options_markdown(info);
}

}  // namespace weft
