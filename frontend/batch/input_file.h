// What one pass over the input tells before anything is launched: how many requests it has, where its lines are, and the
// hash by which a later run knows it again.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "frontend/batch/line_reader.h"
#include "weft/status.h"

namespace weft::frontend {

constexpr std::size_t input_line_limit_bytes = std::size_t{64} << 20;

struct InputFile {
  std::string path;
  std::string hash;  // XXH3 (128 bits) of the whole file, hexadecimal
  std::int64_t bytes = 0;
  std::int64_t last_line = 0;         // the number of the last line; lines after it, written since, are not read
  std::int64_t requests = 0;          // lines that are not blank
  std::vector<bool> has_request;      // by line number; [0] unused
  std::vector<std::int64_t> offsets;  // of lines 1, 1 + offset_stride, ...
  static constexpr std::int64_t offset_stride = 1024;

  static Result<InputFile> scan(const std::string& path, std::size_t line_limit_bytes = input_line_limit_bytes);
  // A reader whose next line is `line`.
  Result<LineReader> reader_at(std::int64_t line, std::size_t line_limit_bytes = input_line_limit_bytes) const;
};

}  // namespace weft::frontend
