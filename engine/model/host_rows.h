// A device's matrix as f32 in host memory, and back: for what no operation of a device says. Keeps its memory from use to
// use. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "weft/device.h"
#include "weft/status.h"

namespace weft::engine {

class HostRows {
 public:
  // `view` is of a float type and without gaps between its rows. Done on return.
  Status read(Device& device, const TensorView& view);
  // Rows and columns are those of the last read() or reset(); rounded to the view's type.
  Status write(Device& device, const TensorView& view);
  // Zeros.
  void reset(std::int64_t rows, std::int64_t columns);

  std::span<float> row(std::int64_t index) noexcept {
    return {values_.data() + static_cast<std::size_t>(index) * columns_, columns_};
  }

 private:
  std::size_t columns_ = 0;
  std::vector<float> values_;
  std::vector<std::uint16_t> narrow_;
};

}  // namespace weft::engine
