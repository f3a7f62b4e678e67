// What `weft tokenize`, `detokenize` and `template` have in common: JSON lines in, JSON lines out.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "frontend/api/fields.h"
#include "weft/status.h"

namespace weft::cli {

struct JsonLines {
  std::vector<std::string> keys;  // that `answer` reads
  std::function<Result<frontend::Json>(const frontend::Fields&)> answer;
};

// Reads `in` to its end and writes to `out` one line for each line read, in order and as soon as nothing more waits to be
// read, so that a program may converse: what `answer` gives, or {"error": "..."} for a line that is no JSON object, is
// longer than 64 MiB, or that `answer` refuses. Keys that are not in `keys` are ignored (what one command writes is read
// by the next), unless one looks like a slip of the keyboard. Returns exit_some_failed where a line failed or input or
// output broke (told on stderr), else exit_ok.
int answer_lines(int in, int out, const JsonLines& lines);

}  // namespace weft::cli
