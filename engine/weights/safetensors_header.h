// The JSON header of a safetensors file, read event by event, so that nothing is built that the format does
// not have.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "weft/status.h"

namespace weft::engine {

// What the header says of one tensor: numbers are whole and not negative, nothing else is checked yet.
struct HeaderTensor {
  std::string type;  // empty: not said
  std::vector<std::int64_t> shape;
  std::array<std::int64_t, 2> offsets{};  // begin, end
  bool has_shape = false;
  bool has_offsets = false;
};

using HeaderTensors = std::map<std::string, HeaderTensor, std::less<>>;

// Parses the header. Refuses unknown fields, names that come twice, more than 8 dimensions, and any nesting
// that the format does not have. Messages have no file name yet.
Result<HeaderTensors> parse_safetensors_header(std::string_view json);

}  // namespace weft::engine
