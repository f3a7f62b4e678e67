#include <fmt/format.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/json_lines.h"
#include "text/tokenizer/tokenizer.h"

namespace weft::cli {
namespace {

int run_tokenize(const std::string& directory) {
  const auto tokenizer = text::Tokenizer::load(directory);
  if (!tokenizer) {
    fmt::print(stderr, "weft: {}\n", tokenizer.error().message);
    return exit_code_of(tokenizer.error());
  }
  const auto answer = [&](const frontend::Fields& line) -> Result<frontend::Json> {
    WEFT_ASSIGN(text, line.string("text"));
    if (!text) return fail(line.lacks("text", "a string"));
    WEFT_ASSIGN(add_special_tokens, line.boolean("add_special_tokens"));
    WEFT_ASSIGN(ids, (*tokenizer)->encode(*text, add_special_tokens.value_or(true)));
    return frontend::Json{{"ids", std::move(ids)}};
  };
  return answer_lines(STDIN_FILENO, STDOUT_FILENO, {.keys = {"text", "add_special_tokens"}, .answer = answer});
}

}  // namespace

void add_tokenize(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("tokenize", "Text to token ids: JSON lines in, JSON lines out");
  auto directory = std::make_shared<std::string>();
  command->add_option("--tokenizer", *directory, "A model's directory: tokenizer.json, or tokenizer.model")
      ->type_name("DIR")
      ->required();
  command->footer(
      "Standard input:  {\"text\": \"Hello\", \"add_special_tokens\": false}\n"
      "Standard output: {\"ids\":[...]}, or {\"error\": \"...\"} for a line that is wrong; one line for each line.\n"
      "add_special_tokens: also those that the tokenizer puts around a text (default true, as a text prompt of `weft "
      "run`).\n\n"
      "Exit codes: 0 ok, 1 some lines failed, 2 the tokenizer is wrong, 3 there is none.\n\n"
      "Example:\n"
      "  echo '{\"text\": \"Hello\"}' | weft tokenize --tokenizer models/weft-tiny");
  command->callback([directory, &exit_code] { exit_code = run_tokenize(*directory); });
}

}  // namespace weft::cli
