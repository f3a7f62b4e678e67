// What this machine gives, measured next to what is held against it.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cli/bench/spread.h"

namespace weft::cli {

// Of `threads` threads together, in no process but this one. One thread.
class Limits {
 public:
  // `bytes`: how many a step reads; at most a gibibyte of them is read, again and again. What fits into a cache is read from there,
  // as a step's weights are.
  Limits(int threads, double bytes);
  // Once more, some hundredths of a second: before each repetition, for other processes slow both.
  void measure();

  int threads() const noexcept { return threads_; }
  Spread read() const { return spread_of(read_); }              // bytes a second
  Spread operations() const { return spread_of(operations_); }  // floating-point operations a second: f32 multiply-adds
  nlohmann::ordered_json to_json() const;
  std::string to_text() const;  // one line

 private:
  int threads_;
  std::size_t bytes_;
  std::vector<double> read_;
  std::vector<double> operations_;
};

// "84% of the limit"; of a limit that could not be measured "-".
std::string share_text(double share);

}  // namespace weft::cli
