#include "cli/json_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "cli/exit_code.h"
#include "core/plugin/suggest.h"
#include "frontend/batch/line_reader.h"
#include "frontend/batch/write_all.h"
#include "text/json.h"

namespace weft::cli {
namespace {

using frontend::Json;

constexpr std::size_t longest_line = std::size_t{64} << 20;
constexpr std::size_t written_at_once = std::size_t{1} << 18;  // bytes

Status check_keys(const Json& object, const std::vector<std::string>& known) {
  for (const auto& entry : object.items()) {
    const std::string& key = entry.key();
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    if (const std::string hint = did_you_mean(key, known); !hint.empty())
      return fail(ErrorCode::invalid_argument, fmt::format("unknown key '{}'{}", key, hint));
  }
  return {};
}

Result<Json> answer_line(std::string_view line, const JsonLines& lines) {
  auto object = text::parse_ordered_json(line);
  if (!object) {
    Error error = std::move(object).error();
    if (error.message.starts_with("1:")) error.message = "column " + error.message.substr(2);
    return fail(std::move(error));
  }
  if (!object->is_object()) return fail(frontend::wrong("line", *object, "a JSON object"));
  WEFT_TRY(check_keys(*object, lines.keys));
  return lines.answer(frontend::Fields(*object));
}

}  // namespace

int answer_lines(int in, int out, const JsonLines& lines) {
  auto reader = frontend::LineReader::of_stream(in, "standard input", longest_line);
  int code = exit_ok;
  std::string waiting;  // written together while there is more to read
  for (;;) {
    const auto line = reader.next();
    if (!line) {
      fmt::print(stderr, "weft: {}\n", line.error().message);
      return exit_some_failed;
    }
    if (!*line) return code;
    Result<Json> answer = (*line)->too_long ? fail(ErrorCode::resource_exhausted,
                                                   fmt::format("a line of more than {} bytes", longest_line))
                                            : answer_line((*line)->text, lines);
    if (!answer) {
      code = exit_some_failed;
      answer = Json{{"error", std::move(answer).error().message}};
    }
    waiting += answer->dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
    if (waiting.size() < written_at_once && reader.has_another()) continue;
    if (!frontend::write_all(out, waiting)) {
      fmt::print(stderr, "weft: standard output cannot be written: {}\n", std::strerror(errno));
      return exit_some_failed;
    }
    waiting.clear();
  }
}

}  // namespace weft::cli
