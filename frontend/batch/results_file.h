// The output: one line a result, each written whole by one write(2), so that a run may be killed at any moment and the next
// one goes on. Held by an advisory lock while it is open. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/batch/input_file.h"
#include "frontend/batch/run_identity.h"
#include "weft/status.h"

namespace weft::frontend {

class ResultsFile {
 public:
  // Makes the output and its sidecar, or reads what an earlier run of the same identity left, and cuts a torn last line
  // off. A character device (/dev/stdout) is written to, not resumed. already_exists: another run's output, or one under
  // way; data_loss: damaged; permission_denied, resource_exhausted: cannot be written. All name the file and what to do.
  static Result<std::unique_ptr<ResultsFile>> open(const std::string& path, const RunIdentity& identity,
                                                   const InputFile& input);
  ~ResultsFile();
  ResultsFile(const ResultsFile&) = delete;
  ResultsFile& operator=(const ResultsFile&) = delete;

  // By line of the input: those that have a result already.
  const std::vector<bool>& done() const noexcept { return done_; }
  std::int64_t done_count() const noexcept { return done_count_; }
  std::int64_t failed_count() const noexcept { return failed_count_; }  // of these, with an error

  // `line` ends with its newline. After an error nothing of it is in the file (a device aside).
  Status append(std::string_view line);
  // What was appended is on the disk.
  Status sync();

 private:
  ResultsFile(std::string path, int file) : path_(std::move(path)), file_(file) {}
  Status lock();
  Status resume(const RunIdentity& identity, const InputFile& input);
  Status read_results(const InputFile& input);
  Status note(std::int64_t at, std::int64_t line, const InputFile& input);
  Status cut(std::int64_t size);

  std::string path_;
  int file_ = -1;
  bool regular_ = true;
  std::int64_t size_ = 0;  // bytes of whole lines
  std::vector<bool> done_;
  std::int64_t done_count_ = 0;
  std::int64_t failed_count_ = 0;
};

}  // namespace weft::frontend
