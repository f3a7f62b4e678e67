// What `./dev golden` adds up to its table: how many cases of a check passed, were skipped, failed.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

namespace weft::test {

// One for each test. When it goes it appends one line to the file that WEFT_GOLDEN_RESULTS names, if it names one.
// Tests of other processes append to the same file: a line is one write.
class GoldenReport {
 public:
  struct Row {
    std::string check;   // greedy, logits, logprobs, tokenizer, template, sampling
    std::string family;  // of the model; else what was tested
    int tensor = 1;
  };
  explicit GoldenReport(Row row) : row_(std::move(row)) {}
  GoldenReport(const GoldenReport&) = delete;
  GoldenReport& operator=(const GoldenReport&) = delete;

  // `passed` is given back, for EXPECT_TRUE.
  bool count(bool passed) {
    ++(passed ? passed_ : failed_);
    return passed;
  }
  void skip() { ++skipped_; }

  ~GoldenReport() {
    const char* file = std::getenv("WEFT_GOLDEN_RESULTS");
    if (file == nullptr || *file == '\0') return;
    // A test that failed before its first case, or for more than its cases, has failed all the same.
    if (::testing::Test::HasFailure() && failed_ == 0) ++failed_;
    const nlohmann::json line = {{"check", row_.check}, {"family", row_.family}, {"tensor", row_.tensor},
                                 {"passed", passed_},   {"skipped", skipped_},   {"failed", failed_}};
    const std::string text = line.dump() + "\n";
    const int descriptor = ::open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    const bool written =
        descriptor >= 0 && ::write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    if (descriptor >= 0) ::close(descriptor);
    EXPECT_TRUE(written) << "WEFT_GOLDEN_RESULTS: " << file << " cannot be written";
  }

 private:
  Row row_;
  int passed_ = 0;
  int skipped_ = 0;
  int failed_ = 0;
};

}  // namespace weft::test
