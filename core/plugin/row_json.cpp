#include "core/plugin/row_json.h"

#include <nlohmann/json.hpp>

namespace weft {
namespace {

using nlohmann::json;

std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

json option_row(const OptionDeclaration& option) {
  json out{{"key", option.key}, {"type", static_cast<int>(option.type)}, {"help", option.help}};
  if (option.default_text) out["default"] = *option.default_text;
  if (!option.range_text.empty()) out["range"] = option.range_text;
  return out;
}

// Checked again here, with the same code: what a child sent need not be what it checked.
OptionDeclaration read_option(const json& in) {
  const auto key = in.at("key").get<std::string>();
  const auto help = in.at("help").get<std::string>();
  const auto fallback = in.value("default", std::string());
  const auto range = in.value("range", std::string());
  const OptionSpec spec{.key = key.c_str(),
                        .type = static_cast<OptionSpec::Type>(in.at("type").get<std::uint32_t>()),
                        .default_value = in.contains("default") ? fallback.c_str() : nullptr,
                        .range = in.contains("range") ? range.c_str() : nullptr,
                        .help = help.c_str()};
  return check_declaration(spec).value();
}

Stage read_stage(const json& in) {
  const int value = in.get<int>();
  return value < 0 || value >= stage_count ? Stage::file_policy : static_cast<Stage>(value);
}

PluginInfo read_info(const json& in) {
  PluginInfo info;
  info.kind = in.at("kind").get<std::string>();
  info.name = in.at("name").get<std::string>();
  info.version = in.at("version").get<std::string>();
  info.summary = in.at("summary").get<std::string>();
  info.file = in.at("file").get<std::string>();
  info.sha256 = in.at("sha256").get<std::string>();
  info.fingerprint = in.at("fingerprint").get<std::string>();
  info.capabilities = in.at("capabilities").get<std::vector<std::string>>();
  info.warnings = in.at("warnings").get<std::vector<std::string>>();
  for (const json& option : in.at("options"))
    info.options.push_back(read_option(option));
  return info;
}

}  // namespace

std::string stage_line(Stage stage) { return dump({{"stage", static_cast<int>(stage)}}); }

std::string end_line() { return dump({{"end", true}}); }

std::string row_line(const DiscoveredPlugin& row) {
  const PluginInfo& info = row.info;
  json out{{"kind", info.kind},
           {"name", info.name},
           {"version", info.version},
           {"summary", info.summary},
           {"file", info.file},
           {"sha256", info.sha256},
           {"fingerprint", info.fingerprint},
           {"capabilities", info.capabilities},
           {"warnings", info.warnings},
           {"created", row.created},
           {"answer", row.answer},
           {"create_untried", row.create_untried},
           {"options", json::array()}};
  for (const OptionDeclaration& option : info.options)
    out["options"].push_back(option_row(option));
  if (row.refusal)
    out["refusal"] = {{"stage", static_cast<int>(row.refusal->stage.value_or(Stage::file_policy))},
                      {"code", static_cast<int>(row.refusal->error.code)},
                      {"message", row.refusal->error.message}};
  return dump(out);
}

std::optional<Stage> read_row(std::string_view lines, DiscoveredPlugin& row) {
  Stage last = Stage::file_policy;
  try {
    while (!lines.empty()) {
      const std::size_t end = lines.find('\n');
      if (end == std::string_view::npos) break;  // cut off in the middle
      const json line = json::parse(lines.substr(0, end));
      lines.remove_prefix(end + 1);
      if (line.contains("stage")) {
        last = read_stage(line.at("stage"));
        continue;
      }
      if (line.contains("end")) return std::nullopt;
      row.info = read_info(line);
      row.created = line.at("created").get<bool>();
      row.answer = line.at("answer").get<std::string>();
      row.create_untried = line.at("create_untried").get<std::string>();
      if (line.contains("refusal")) {
        const json& refusal = line.at("refusal");
        row.refusal =
            Refusal{read_stage(refusal.at("stage")),
                    {static_cast<ErrorCode>(refusal.at("code").get<int>()), refusal.at("message").get<std::string>()}};
      }
    }
  } catch (const std::exception&) {  // not our lines: the library wrote into the pipe
  }
  return last;
}

}  // namespace weft
