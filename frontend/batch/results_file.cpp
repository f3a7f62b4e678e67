#include "frontend/batch/results_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/telemetry/log.h"
#include "frontend/batch/line_reader.h"
#include "frontend/batch/result_line.h"
#include "frontend/batch/write_all.h"

namespace weft::frontend {
namespace {

constexpr std::size_t line_limit_bytes = std::size_t{1} << 30;

tl::unexpected<Error> cannot_write(const std::string& path, int error_number) {
  std::string what = std::strerror(error_number);
  if (error_number == ENOENT) what = "its directory does not exist; make it first";
  if (error_number == EISDIR) what = "is a directory, expected a file";
  return fail(write_error(error_number), fmt::format("{}: cannot be written: {}", path, what));
}

}  // namespace

ResultsFile::~ResultsFile() {
  if (file_ >= 0) ::close(file_);
}

Result<std::unique_ptr<ResultsFile>> ResultsFile::open(const std::string& path, const RunIdentity& identity,
                                                       const InputFile& input) {
  // O_NONBLOCK: a FIFO is refused below, not waited for. On files it means nothing.
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0666);
  if (file < 0) return cannot_write(path, errno);
  std::unique_ptr<ResultsFile> results(new ResultsFile(path, file));
  results->done_.assign(input.has_request.size(), false);
  struct stat status {};
  if (fstat(file, &status) != 0) return cannot_write(path, errno);
  results->regular_ = S_ISREG(status.st_mode);
  if (S_ISCHR(status.st_mode)) {
    if (::fcntl(file, F_SETFL, O_APPEND) != 0) return cannot_write(path, errno);
    return results;
  }
  if (!results->regular_)
    return fail(ErrorCode::invalid_argument, fmt::format("{}: neither a file nor a character device", path));
  results->size_ = status.st_size;
  WEFT_TRY(results->lock());
  WEFT_TRY(results->resume(identity, input));
  return results;
}

Status ResultsFile::lock() {
  if (::flock(file_, LOCK_EX | LOCK_NB) == 0) return {};
  if (errno == EWOULDBLOCK)
    return fail(ErrorCode::already_exists,
                fmt::format("{}: another `weft run` is writing it; wait for its end, or choose another output", path_));
  log::warn("batch", "{}: cannot be locked ({}); see to it that no other run writes it", path_, std::strerror(errno));
  return {};
}

Status ResultsFile::resume(const RunIdentity& identity, const InputFile& input) {
  if (size_ == 0) return write_sidecar(path_, identity);
  const auto found = read_sidecar(path_);
  if (!found && found.error().code == ErrorCode::not_found)
    return fail(ErrorCode::already_exists,
                fmt::format("{}: exists and is not an output of `weft run` ({} is not there); "
                            "choose another output, or move it away",
                            path_, sidecar_path(path_)));
  if (!found) return fail(ErrorCode::already_exists, found.error().message);
  WEFT_TRY(check_same_run(path_, *found, identity));
  return read_results(input);
}

Status ResultsFile::read_results(const InputFile& input) {
  WEFT_ASSIGN(reader, LineReader::open(path_, line_limit_bytes));
  std::int64_t whole = 0;  // bytes of lines known to be whole
  Status bad;              // of the line before: only the last may be torn
  for (;;) {
    WEFT_ASSIGN(line, reader.next());
    if (!line) break;
    if (!bad) return bad;
    if (!line->terminated) break;
    const auto head = head_of_result(line->text);
    if (!head) {
      bad = fail(ErrorCode::data_loss, fmt::format("{}:{}: {}; the file is damaged: choose another output", path_,
                                                   line->number, head.error().message));
      continue;
    }
    WEFT_TRY(note(line->number, head->line, input));
    failed_count_ += head->failed ? 1 : 0;
    whole = line->end;
  }
  return whole < size_ ? cut(whole) : Status{};
}

Status ResultsFile::note(std::int64_t at, std::int64_t line, const InputFile& input) {
  const auto wrong = [&](std::string_view what) {
    return fail(
        ErrorCode::data_loss,
        fmt::format("{}:{}: the id weft-{} {}; the file was changed: choose another output", path_, at, line, what));
  };
  if (line < 1 || line > input.last_line || !input.has_request[static_cast<std::size_t>(line)])
    return wrong("is no request's of the input");
  if (done_[static_cast<std::size_t>(line)]) return wrong("is there twice");
  done_[static_cast<std::size_t>(line)] = true;
  ++done_count_;
  return {};
}

Status ResultsFile::cut(std::int64_t size) {
  log::info("batch", "{}: a torn last line of {} bytes is cut off and done again", path_, size_ - size);
  if (::ftruncate(file_, size) != 0) return cannot_write(path_, errno);
  size_ = size;
  return {};
}

Status ResultsFile::append(std::string_view line) {
  if (write_all(file_, line)) {
    size_ += static_cast<std::int64_t>(line.size());
    return {};
  }
  const int code = errno;
  if (!regular_) return cannot_write(path_, code);
  (void)::ftruncate(file_, size_);  // where even this fails, the next run cuts the torn line off
  Error error = cannot_write(path_, code).value();
  error.message += "; the results so far are in it, and the same command goes on from there";
  return fail(std::move(error));
}

Status ResultsFile::sync() {
  if (!regular_ || ::fsync(file_) == 0) return {};
  return cannot_write(path_, errno);
}

}  // namespace weft::frontend
