#include <fmt/format.h>
#include <unistd.h>

#include <ctime>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/json_lines.h"
#include "text/chat/chat_template.h"

namespace weft::cli {
namespace {

struct TemplateOptions {
  std::string directory;
  std::string file;  // empty: the directory's
  std::string now;   // empty: the clock
};

// "2025-03-14T09:26:53" with the day of the week and of the year, which templates may print. Nothing for any other form,
// and for a day or an hour that does not exist.
std::optional<std::tm> parse_time(const std::string& text) {
  std::tm time{};
  const char* end = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &time);
  if (end == nullptr || *end != '\0') return std::nullopt;
  std::tm normal = time;
  (void)timegm(&normal);
  const bool exists = normal.tm_year == time.tm_year && normal.tm_mon == time.tm_mon &&
                      normal.tm_mday == time.tm_mday && normal.tm_hour == time.tm_hour &&
                      normal.tm_min == time.tm_min && normal.tm_sec == time.tm_sec;
  if (!exists) return std::nullopt;
  normal.tm_isdst = -1;
  return normal;
}

Result<text::ChatFormat> load_format(const TemplateOptions& options) {
  WEFT_ASSIGN(format, text::load_chat_format(options.directory,
                                             options.file.empty() ? std::nullopt : std::optional(options.file)));
  if (!format)
    return fail(ErrorCode::not_found,
                fmt::format("{}: no chat template; expected chat_template.jinja, or chat_template in "
                            "tokenizer_config.json, or one named with --chat-template",
                            options.directory));
  return *std::move(format);
}

// What a list of messages or tools holds are objects: the rest is the template's affair, as in transformers.
Status check_list(const frontend::Json& list, std::string_view key, std::string_view expected) {
  if (!list.is_array()) return fail(frontend::wrong(key, list, fmt::format("a list of {}", expected)));
  for (std::size_t i = 0; i < list.size(); ++i)
    if (!list[i].is_object()) return fail(frontend::wrong(fmt::format("{}[{}]", key, i), list[i], "an object"));
  return {};
}

Result<frontend::Json> render_line(const text::ChatFormat& format, const frontend::Fields& line,
                                   const text::RenderLimits& limits) {
  const frontend::Json* messages = line.find("messages");
  if (messages == nullptr) return fail(line.lacks("messages", "a list of {\"role\", \"content\"}"));
  WEFT_TRY(check_list(*messages, "messages", "{\"role\", \"content\"}"));
  const frontend::Json* tools = line.find("tools");
  if (tools != nullptr) WEFT_TRY(check_list(*tools, "tools", "functions"));
  WEFT_ASSIGN(add_generation_prompt, line.boolean("add_generation_prompt"));
  const frontend::Json* more = line.find("chat_template_kwargs");
  if (more != nullptr && !more->is_object()) return fail(frontend::wrong("chat_template_kwargs", *more, "an object"));
  const frontend::Json none;
  const frontend::Json nothing_more = frontend::Json::object();
  WEFT_ASSIGN(text, format.render(*messages, tools != nullptr ? *tools : none, add_generation_prompt.value_or(true),
                                  more != nullptr ? *more : nothing_more, limits));
  return frontend::Json{{"text", std::move(text)}};
}

int run_template(const TemplateOptions& options) {
  text::RenderLimits limits;
  if (!options.now.empty()) {
    limits.now = parse_time(options.now);
    if (!limits.now) {
      fmt::print(stderr, "weft: --now: found '{}', expected a time such as 2025-03-14T09:26:53\n", options.now);
      return exit_usage;
    }
  }
  const auto format = load_format(options);
  if (!format) {
    fmt::print(stderr, "weft: {}\n", format.error().message);
    return exit_code_of(format.error());
  }
  return answer_lines(STDIN_FILENO, STDOUT_FILENO,
                      {.keys = {"messages", "tools", "add_generation_prompt", "chat_template_kwargs"},
                       .answer = [&](const frontend::Fields& line) { return render_line(*format, line, limits); }});
}

}  // namespace

void add_template(CLI::App& app, int& exit_code) {
  CLI::App* command =
      app.add_subcommand("template", "Chats to the text that a model sees: JSON lines in, JSON lines out");
  auto options = std::make_shared<TemplateOptions>();
  command->add_option("--tokenizer", options->directory, "A model's directory: its chat template and special tokens")
      ->type_name("DIR")
      ->required();
  command->add_option("--chat-template", options->file, "Another template (Jinja) than the directory's")
      ->type_name("FILE");
  command->add_option("--now", options->now, "The local time that templates see; default: the clock's")
      ->type_name("YYYY-MM-DDTHH:MM:SS");
  command->footer(
      "Standard input:  {\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}], \"tools\": [...], "
      "\"add_generation_prompt\": true}\n"
      "Standard output: {\"text\":\"...\"}, or {\"error\": \"...\"} for a line that is wrong; one line for each line.\n"
      "tools: default none. add_generation_prompt: default true, as in `weft run`. chat_template_kwargs: an object of "
      "further\nvariables. An error of the template names its line and column.\n\n"
      "Exit codes: 0 ok, 1 some lines failed, 2 the template or an option is wrong, 3 there is none.\n\n"
      "Example:\n"
      "  echo '{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}]}' | weft template --tokenizer "
      "models/weft-tiny --now 2025-03-14T09:26:53");
  command->callback([options, &exit_code] { exit_code = run_template(*options); });
}

}  // namespace weft::cli
