#include <fmt/format.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/json_lines.h"
#include "text/tokenizer/tokenizer.h"

namespace weft::cli {
namespace {

int run_detokenize(const std::string& directory) {
  const auto tokenizer = text::Tokenizer::load(directory);
  if (!tokenizer) {
    fmt::print(stderr, "weft: {}\n", tokenizer.error().message);
    return exit_code_of(tokenizer.error());
  }
  const auto answer = [&](const frontend::Fields& line) -> Result<frontend::Json> {
    if (line.find("ids") == nullptr) return fail(line.lacks("ids", "a list of token ids"));
    WEFT_ASSIGN(ids, line.token_ids("ids"));
    WEFT_ASSIGN(skip_special_tokens, line.boolean("skip_special_tokens"));
    return frontend::Json{{"text", (*tokenizer)->decode(ids, skip_special_tokens.value_or(false))}};
  };
  return answer_lines(STDIN_FILENO, STDOUT_FILENO, {.keys = {"ids", "skip_special_tokens"}, .answer = answer});
}

}  // namespace

void add_detokenize(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("detokenize", "Token ids to text: JSON lines in, JSON lines out");
  auto directory = std::make_shared<std::string>();
  command->add_option("--tokenizer", *directory, "A model's directory: tokenizer.json, or tokenizer.model")
      ->type_name("DIR")
      ->required();
  command->footer(
      "Standard input:  {\"ids\": [1, 2, 3], \"skip_special_tokens\": true}\n"
      "Standard output: {\"text\":\"...\"}, or {\"error\": \"...\"} for a line that is wrong; one line for each line.\n"
      "skip_special_tokens: leave them out, as answers of `weft run` do (default false).\n"
      "An id that the vocabulary lacks decodes to nothing; bytes that are no UTF-8 to U+FFFD.\n\n"
      "Exit codes: 0 ok, 1 some lines failed, 2 the tokenizer is wrong, 3 there is none.\n\n"
      "Example:\n"
      "  echo '{\"ids\": [19, 24]}' | weft detokenize --tokenizer models/weft-tiny");
  command->callback([directory, &exit_code] { exit_code = run_detokenize(*directory); });
}

}  // namespace weft::cli
