// Keeps a hostile or broken peer from filling the log: a bucket of 20 lines that refills at 10 a second.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "weft/time.h"

namespace weft::wire {

// One thread at a time.
class LogLimiter {
 public:
  explicit LogLimiter(std::function<void(std::string)> log) : log_(std::move(log)) {}

  void write(std::string line, Time now) {
    const double seconds = std::chrono::duration<double>(now - last_).count();
    lines_ = std::min(capacity, lines_ + std::max(0.0, seconds) * per_second);
    last_ = now;
    if (lines_ < 1) {
      ++left_out_;
      return;
    }
    lines_ -= 1;
    if (left_out_ > 0) line += " (" + std::to_string(left_out_) + " lines like it were left out)";
    left_out_ = 0;
    if (log_) log_(std::move(line));
  }

 private:
  static constexpr double capacity = 20;
  static constexpr double per_second = 10;

  std::function<void(std::string)> log_;
  double lines_ = capacity;
  std::uint64_t left_out_ = 0;
  Time last_{};
};

}  // namespace weft::wire
