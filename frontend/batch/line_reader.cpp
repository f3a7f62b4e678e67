#include "frontend/batch/line_reader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace weft::frontend {
namespace {

constexpr std::size_t chunk_bytes = std::size_t{1} << 18;
constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

}  // namespace

Result<LineReader> LineReader::open(std::string path, std::size_t line_limit_bytes) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a FIFO is refused, not waited for
  if (file < 0) {
    const ErrorCode code = errno == ENOENT || errno == ENOTDIR ? ErrorCode::not_found : ErrorCode::permission_denied;
    return fail(code, fmt::format("{}: {}", path, std::strerror(errno)));
  }
  LineReader reader(std::move(path), file, false, line_limit_bytes);
  struct stat status {};
  if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode))
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: not a regular file, expected a file of JSON lines", reader.path_));
  return reader;
}

LineReader LineReader::of_stream(int file, std::string name, std::size_t line_limit_bytes) {
  return {std::move(name), file, true, line_limit_bytes};
}

LineReader::LineReader(LineReader&& other) noexcept { *this = std::move(other); }

LineReader& LineReader::operator=(LineReader&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(file_, other.file_);
  std::swap(is_stream_, other.is_stream_);
  std::swap(limit_, other.limit_);
  std::swap(buffer_, other.buffer_);
  std::swap(begin_, other.begin_);
  std::swap(offset_, other.offset_);
  std::swap(read_offset_, other.read_offset_);
  std::swap(number_, other.number_);
  std::swap(observer_, other.observer_);
  return *this;
}

LineReader::~LineReader() {
  if (file_ >= 0 && !is_stream_) ::close(file_);
}

void LineReader::seek(std::int64_t offset, std::int64_t number) {
  buffer_.clear();
  begin_ = 0;
  offset_ = read_offset_ = offset;
  number_ = number;
}

Result<bool> LineReader::read_more() {
  if (begin_ > 0) {
    buffer_.erase(0, begin_);
    begin_ = 0;
  }
  const std::size_t held = buffer_.size();
  buffer_.resize(held + chunk_bytes);
  ssize_t count = 0;
  do
    count = is_stream_ ? ::read(file_, buffer_.data() + held, chunk_bytes)
                       : ::pread(file_, buffer_.data() + held, chunk_bytes, read_offset_);
  while (count < 0 && errno == EINTR);
  buffer_.resize(held + static_cast<std::size_t>(count < 0 ? 0 : count));
  if (count < 0) return fail(ErrorCode::data_loss, fmt::format("{}: cannot be read: {}", path_, std::strerror(errno)));
  read_offset_ += count;
  if (observer_ && count > 0) observer_(std::string_view(buffer_).substr(held));
  return count > 0;
}

Line LineReader::take(std::size_t length, bool terminated) {
  Line line{.number = number_++,
            .offset = offset_,
            .text = std::string_view(buffer_).substr(begin_, length),
            .terminated = terminated};
  begin_ += length + (terminated ? 1 : 0);
  offset_ += static_cast<std::int64_t>(length) + (terminated ? 1 : 0);
  line.end = offset_;
  if (line.offset == 0 && line.text.substr(0, byte_order_mark.size()) == byte_order_mark)
    line.text.remove_prefix(byte_order_mark.size());
  if (!line.text.empty() && line.text.back() == '\r') line.text.remove_suffix(1);
  return line;
}

Result<std::optional<Line>> LineReader::next() {
  std::size_t searched = 0;  // bytes after begin_ that hold no newline
  std::int64_t dropped_from = -1;
  for (;;) {
    const std::size_t newline = buffer_.find('\n', begin_ + searched);
    std::size_t length = (newline == std::string::npos ? buffer_.size() : newline) - begin_;
    const bool over = length > limit_ || dropped_from >= 0;
    if (over && dropped_from < 0) dropped_from = offset_;
    if (newline == std::string::npos) {
      if (over) {  // forget what cannot be used
        begin_ += length;
        offset_ += static_cast<std::int64_t>(length);
        length = 0;
      }
      searched = length;
      WEFT_ASSIGN(more, read_more());
      if (more) continue;
      if (length == 0 && !over) return std::nullopt;
    }
    Line line = take(length, newline != std::string::npos);
    if (over) {
      line.too_long = true;
      line.offset = dropped_from;
      line.text = {};
    }
    return line;
  }
}

}  // namespace weft::frontend
