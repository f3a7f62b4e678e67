// Lines of a file or a stream of any size, one at a time. Memory: the longest line, at most the limit.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "weft/status.h"

namespace weft::frontend {

struct Line {
  std::int64_t number = 0;  // from 1, blank lines counted
  std::int64_t offset = 0;  // of its first byte in the file
  std::int64_t end = 0;     // offset of the next line
  std::string_view text;    // without "\n" or "\r\n", and without a byte order mark; valid until the next call
  bool too_long = false;    // longer than the limit: text is empty
  bool terminated = true;   // false: the file ends without a newline

  bool blank() const noexcept { return !too_long && text.find_first_not_of(" \t") == std::string_view::npos; }
};

class LineReader {
 public:
  // not_found, permission_denied; invalid_argument: not a regular file. All name the file.
  static Result<LineReader> open(std::string path, std::size_t line_limit_bytes);
  // Of a descriptor that may be a pipe or a terminal, from where it stands; it is not closed. `name` is for messages.
  static LineReader of_stream(int file, std::string name, std::size_t line_limit_bytes);
  LineReader(LineReader&& other) noexcept;
  LineReader& operator=(LineReader&& other) noexcept;
  ~LineReader();

  // Nothing at the end. data_loss where the file cannot be read.
  Result<std::optional<Line>> next();
  // Whether the next call returns without waiting for whoever writes the stream.
  bool has_another() const noexcept { return buffer_.find('\n', begin_) != std::string::npos; }
  // Of a file: the next line is the one at `offset`, which has this number.
  void seek(std::int64_t offset, std::int64_t number);
  // Called with every piece of the file as it is read.
  void observe(std::function<void(std::string_view)> observer) { observer_ = std::move(observer); }

 private:
  LineReader(std::string path, int file, bool is_stream, std::size_t limit)
      : path_(std::move(path)), file_(file), is_stream_(is_stream), limit_(limit) {}
  Result<bool> read_more();  // false at the end
  Line take(std::size_t length, bool terminated);

  std::string path_;
  int file_ = -1;
  bool is_stream_ = false;  // somebody else's, and read where it stands
  std::size_t limit_ = 0;
  std::string buffer_;
  std::size_t begin_ = 0;         // of what has not been handed out
  std::int64_t offset_ = 0;       // of buffer_[begin_] in the file
  std::int64_t read_offset_ = 0;  // of the end of buffer_
  std::int64_t number_ = 1;       // of the next line
  std::function<void(std::string_view)> observer_;
};

}  // namespace weft::frontend
