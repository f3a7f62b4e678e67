// What tests of devices share: matrices with guards round every row, random numbers that are the same
// everywhere, and batches of sequences over a paged cache.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "weft/device.h"

namespace weft::testing {

// xorshift64*: the same numbers with every standard library.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 2654435761u + 88172645463325252ull) {}
  std::uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 2685821657736338717ull;
  }
  float uniform(float low = -1, float high = 1) {
    return low + (high - low) * static_cast<float>(next() >> 40) * 0x1p-24f;
  }
  std::int32_t below(std::int32_t limit) {
    return static_cast<std::int32_t>(next() % static_cast<std::uint64_t>(limit));
  }

 private:
  std::uint64_t state_;
};

std::vector<float> random_values(std::int64_t count, std::uint64_t seed, float low = -1, float high = 1);

// A strided matrix in memory of its own. What lies between and round its rows is a pattern that must stay.
// Under the address sanitizer nothing lies round it, so that a read outside is caught too.
class Matrix {
 public:
  // `values` row by row; none: zeros.
  Matrix(DType type, std::int64_t rows, std::int64_t columns, const std::vector<float>& values = {},
         std::int64_t stride = 0);

  TensorView view() const;
  float at(std::int64_t row, std::int64_t column) const;
  void set(std::int64_t row, std::int64_t column, float value);
  std::vector<float> values() const;  // row by row
  bool guards_intact() const;

 private:
  std::byte* element(std::int64_t row, std::int64_t column) const;

  DType type_;
  std::int64_t rows_;
  std::int64_t columns_;
  std::int64_t stride_;
  std::size_t bytes_;
  std::unique_ptr<std::byte[]> storage_;
};

// i32 in memory of their own.
class Indices {
 public:
  explicit Indices(std::vector<std::int32_t> values) : values_(std::move(values)) {}
  Buffer buffer() const {
    return {.data = const_cast<std::int32_t*>(values_.data()), .size = values_.size() * sizeof(std::int32_t)};
  }
  std::vector<std::int32_t>& values() { return values_; }
  const std::vector<std::int32_t>& values() const { return values_; }

 private:
  std::vector<std::int32_t> values_;
};

// One row of a step: a sequence has `cached` tokens before and `rows` new ones.
struct Sequence {
  std::int32_t cached = 0;
  std::int32_t rows = 1;
};

// A step over sequences whose blocks are scattered over a cache. `block_seed` chooses which blocks are whose;
// with the same seed and `order` a later step of the same sequences finds the same blocks.
struct Batch {
  Batch(const std::vector<Sequence>& sequences, std::int32_t block_size, std::int32_t cache_blocks,
        std::int32_t max_blocks, std::uint64_t block_seed);
  PagedBatch paged() const;

  std::int32_t tokens;
  std::int32_t sequences;
  std::int32_t max_blocks;
  Indices positions{{}};
  Indices slots{{}};
  Indices row_starts{{}};
  Indices context_lengths{{}};
  Indices block_tables{{}};
};

// A weight of f32 values rounded to `stored`, as a checkpoint of that type would have them.
std::unique_ptr<Weight> make_weight(Device& device, WeightUse use, DType stored, DType compute, std::int64_t rows,
                                    std::int64_t columns, const std::vector<float>& values,
                                    const std::vector<float>& bias = {});

std::vector<std::byte> packed(DType type, const std::vector<float>& values);

// cos | sin of position * theta^(-2i / rotary_dim), [positions, rotary_dim].
std::vector<float> rope_table(std::int32_t positions, std::int32_t rotary_dim);

struct DeviceCase {
  std::string name;
  std::function<Result<std::unique_ptr<Device>>()> make;

  friend void PrintTo(const DeviceCase& device, std::ostream* out) { *out << device.name; }
};
std::vector<DeviceCase> all_devices();

}  // namespace weft::testing
