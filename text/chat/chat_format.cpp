#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <utility>

#include "text/chat/chat_template.h"

namespace weft::text {
namespace {

constexpr std::size_t largest_template = 4u << 20;
constexpr std::size_t largest_config = 32u << 20;  // added_tokens_decoder may list thousands of tokens
constexpr std::array special_token_keys = {"bos_token", "eos_token", "unk_token", "sep_token",
                                           "pad_token", "cls_token", "mask_token"};

// A string, or since transformers 2.8 an AddedToken: {"content": "<s>", ...}.
std::optional<std::string> token_text(const OrderedJson& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_object() && value.contains("content") && value.at("content").is_string())
    return value.at("content").get<std::string>();
  return std::nullopt;
}

void add_special_tokens(const OrderedJson& config, OrderedJson& special_tokens) {
  for (const char* key : special_token_keys) {
    if (special_tokens.contains(key) || !config.contains(key)) continue;
    if (auto text = token_text(config.at(key))) special_tokens[key] = *std::move(text);
  }
}

// The file's JSON object; an empty one where there is no such file.
Result<OrderedJson> read_object(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return OrderedJson::object();
  WEFT_ASSIGN(text, read_file(path, largest_config));
  WEFT_ASSIGN_CONTEXT(parsed, parse_ordered_json(text, {.depth = 64, .members = 1u << 16}), path);
  if (!parsed.is_object())
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: found {}, expected an object", path, kind_of(parsed.type())));
  return parsed;
}

Result<ChatTemplate> compile_file(const std::string& path) {
  WEFT_ASSIGN(source, read_file(path, largest_template));
  WEFT_ASSIGN_CONTEXT(compiled, ChatTemplate::compile(source), path);
  return compiled;
}

// chat_template: a string, or a list of {"name", "template"} with one named "default" and perhaps one
// "tool_use".
Status add_configured(const OrderedJson& setting, std::optional<ChatTemplate>& chat,
                      std::optional<ChatTemplate>& tool) {
  if (setting.is_null()) return {};
  if (setting.is_string()) {
    WEFT_ASSIGN(compiled, ChatTemplate::compile(setting.get_ref<const std::string&>()));
    chat = std::move(compiled);
    return {};
  }
  if (!setting.is_array())
    return fail(ErrorCode::invalid_argument,
                fmt::format("found {}, expected a string or a list of name and template", kind_of(setting.type())));
  for (const OrderedJson& entry : setting) {
    if (!entry.is_object() || !entry.contains("name") || !entry.contains("template") ||
        !entry.at("template").is_string())
      return fail(ErrorCode::invalid_argument, "expected entries with 'name' and 'template'");
    const bool is_default = entry.at("name") == "default";
    if (!is_default && entry.at("name") != "tool_use") continue;
    WEFT_ASSIGN(compiled, ChatTemplate::compile(entry.at("template").get_ref<const std::string&>()));
    (is_default ? chat : tool) = std::move(compiled);
  }
  return {};
}

}  // namespace

Result<std::string> ChatFormat::render(const OrderedJson& messages, const OrderedJson& tools,
                                       bool add_generation_prompt, const OrderedJson& more,
                                       const RenderLimits& limits) const {
  OrderedJson variables = special_tokens;
  variables["messages"] = messages;
  variables["tools"] = tools;
  variables["documents"] = nullptr;
  variables["add_generation_prompt"] = add_generation_prompt;
  if (more.is_object())
    for (const auto& [key, value] : more.items())
      variables[key] = value;
  const bool with_tools = tool_template && !tools.is_null();
  return (with_tools ? *tool_template : chat_template).render(variables, limits);
}

Result<std::optional<ChatFormat>> load_chat_format(const std::string& model_directory,
                                                   const std::optional<std::string>& file) {
  const auto path = [&](const char* name) { return (std::filesystem::path(model_directory) / name).string(); };
  std::error_code ignored;
  WEFT_ASSIGN(config, read_object(path("tokenizer_config.json")));
  std::optional<ChatTemplate> chat;
  std::optional<ChatTemplate> tool;
  if (file || std::filesystem::exists(path("chat_template.jinja"), ignored)) {
    WEFT_ASSIGN(compiled, compile_file(file ? *file : path("chat_template.jinja")));
    chat = std::move(compiled);
  } else if (config.contains("chat_template")) {
    WEFT_TRY_CONTEXT(add_configured(config.at("chat_template"), chat, tool),
                     path("tokenizer_config.json") + ": chat_template");
  }
  if (!chat) return std::optional<ChatFormat>{};
  ChatFormat format{.chat_template = *std::move(chat), .tool_template = std::move(tool)};
  add_special_tokens(config, format.special_tokens);
  WEFT_ASSIGN(map, read_object(path("special_tokens_map.json")));
  add_special_tokens(map, format.special_tokens);
  return std::optional<ChatFormat>(std::move(format));
}

}  // namespace weft::text
