#include "cli/json_lines.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "cli/exit_code.h"
#include "core/plugin/suggest.h"
#include "frontend/batch/write_all.h"
#include "text/json.h"

namespace weft::cli {
namespace {

using frontend::Json;

constexpr std::size_t longest_line = std::size_t{64} << 20;
constexpr std::size_t chunk_bytes = std::size_t{1} << 18;
constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

// Memory: the longest line, at most the limit.
class LineSource {
 public:
  explicit LineSource(int file) : file_(file) {}

  // False at the end of the input, or where it cannot be read: then error() is not 0. `too_long`: `line` is cut.
  bool next(std::string_view& line, bool& too_long) {
    too_long = false;
    for (std::size_t searched = 0;;) {
      const std::size_t newline = buffer_.find('\n', begin_ + searched);
      if (newline != std::string::npos) {
        too_long = too_long || newline - begin_ > longest_line;
        return hand_out(newline, newline + 1, line);
      }
      if (buffer_.size() - begin_ > longest_line) {  // forget what cannot be used
        too_long = true;
        buffer_.resize(begin_ + longest_line);
      }
      searched = buffer_.size() - begin_;
      if (read_more()) continue;
      if (error_ != 0 || searched == 0) return false;
      return hand_out(buffer_.size(), buffer_.size(), line);
    }
  }
  // Whether the next call returns without waiting for whoever writes.
  bool has_another() const noexcept { return buffer_.find('\n', begin_) != std::string::npos; }
  int error() const noexcept { return error_; }

 private:
  bool hand_out(std::size_t end, std::size_t next, std::string_view& line) {
    line = std::string_view(buffer_).substr(begin_, end - begin_);
    begin_ = next;
    if (std::exchange(first_, false) && line.starts_with(byte_order_mark)) line.remove_prefix(byte_order_mark.size());
    if (line.ends_with('\r')) line.remove_suffix(1);
    return true;
  }

  bool read_more() {
    buffer_.erase(0, begin_);
    begin_ = 0;
    const std::size_t held = buffer_.size();
    buffer_.resize(held + chunk_bytes);
    ssize_t count = 0;
    do
      count = ::read(file_, buffer_.data() + held, chunk_bytes);
    while (count < 0 && errno == EINTR);
    if (count < 0) error_ = errno;
    buffer_.resize(held + static_cast<std::size_t>(count < 0 ? 0 : count));
    return count > 0;
  }

  int file_;
  int error_ = 0;
  bool first_ = true;
  std::size_t begin_ = 0;  // of what has not been handed out
  std::string buffer_;
};

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
  LineSource source(in);
  int code = exit_ok;
  std::string waiting;  // written together while there is more to read
  std::string_view line;
  for (bool too_long = false; source.next(line, too_long);) {
    Result<Json> answer =
        too_long ? fail(ErrorCode::resource_exhausted, fmt::format("a line of more than {} bytes", longest_line))
                 : answer_line(line, lines);
    if (!answer) {
      code = exit_some_failed;
      answer = Json{{"error", std::move(answer).error().message}};
    }
    waiting += answer->dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
    if (waiting.size() < chunk_bytes && source.has_another()) continue;
    if (!frontend::write_all(out, waiting)) {
      fmt::print(stderr, "weft: standard output cannot be written: {}\n", std::strerror(errno));
      return exit_some_failed;
    }
    waiting.clear();
  }
  if (source.error() == 0) return code;
  fmt::print(stderr, "weft: standard input cannot be read: {}\n", std::strerror(source.error()));
  return exit_some_failed;
}

}  // namespace weft::cli
