#include "engine/weights/shard.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include "tests/support/safetensors_writer.h"
#include "tests/support/temporary_directory.h"

namespace weft::engine {
namespace {

using test::bytes_of;
using test::safetensors_file;
using test::TemporaryDirectory;

std::vector<float> counting(std::size_t count) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), 0.0f);
  return values;
}

// m[i, j] = 10 i + j, 4 x 10; its bias; both unaligned where `shift` puts a byte in front.
Checkpoint open_matrix(const TemporaryDirectory& directory, bool shift = false, float first = 0) {
  std::vector<float> values = counting(40);
  values[0] = first;
  std::vector<test::NewTensor> tensors = {{"m.weight", "F32", {4, 10}, bytes_of(values)},
                                          {"m.bias", "F32", {4}, bytes_of({7, 8, 9, 10})}};
  if (shift) tensors.insert(tensors.begin(), {"flag", "BOOL", {1}, "x"});
  directory.write("model.safetensors", safetensors_file(tensors));
  auto opened = Checkpoint::open(directory.path());
  EXPECT_TRUE(opened) << opened.error().message;
  return std::move(*opened);
}

const MatrixPlace matrix{.tensor = "m.weight", .tensor_rows = 4, .columns = 10};

float at(const WeightPart& part, std::int64_t row, std::int64_t column) {
  return static_cast<const float*>(part.data)[row * part.row_stride + column];
}

TEST(EvenSlice, CoversEveryTotalWithSizesThatDifferByAtMostOne) {
  for (std::int64_t total = 1; total < 40; ++total)
    for (std::int32_t size = 1; size <= total && size <= 9; ++size) {
      std::int64_t next = 0;
      for (std::int32_t rank = 0; rank < size; ++rank) {
        const Slice slice = even_slice(total, rank, size);
        EXPECT_EQ(slice.first, next);
        EXPECT_GE(slice.count, total / size);
        EXPECT_LE(slice.count, (total + size - 1) / size);
        next = slice.end();
      }
      EXPECT_EQ(next, total);
    }
}

TEST(ShardReader, CutsRowsAndColumnsWithoutCopying) {
  const TemporaryDirectory directory;
  const Checkpoint checkpoint = open_matrix(directory);
  const auto* data = reinterpret_cast<const float*>(checkpoint.find("m.weight").tensor->data);
  ShardReader reader(checkpoint);
  const auto rows = reader.rows(matrix, {1, 2});
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->data, data + 10);
  EXPECT_EQ(at(*rows, 1, 9), 29.0f);
  const auto columns = reader.columns(matrix, 4, {5, 5});
  ASSERT_TRUE(columns);
  EXPECT_EQ(columns->data, data + 5);
  EXPECT_EQ(columns->columns, 5);
  EXPECT_EQ(at(*columns, 3, 4), 39.0f);
}

// Kilobytes of the file that this process has touched: Rss of its mapping (proc(5)).
std::int64_t touched_kib(const std::string& path) {
  std::ifstream maps("/proc/self/smaps");
  std::int64_t sum = 0;
  bool ours = false;
  for (std::string line; std::getline(maps, line);) {
    // A mapping's first line has a path or none; lines like "Rss: 4 kB" follow.
    const bool heading = line.find(' ') < line.find(':');
    if (heading) ours = line.ends_with(path);
    if (ours && line.starts_with("Rss:")) sum += std::stoll(line.substr(4));
  }
  return sum;
}

TEST(ShardReader, TouchesNothingButTheHeaderAndItsOwnRows) {
  const TemporaryDirectory directory;
  constexpr std::int64_t rows = 4096, columns = 2048;  // 32 MiB
  constexpr std::int64_t huge_page = 2048;             // what the kernel maps around a touched byte, in KiB, at most
  directory.write("model.safetensors",
                  safetensors_file({{"m", "F32", {rows, columns}, std::string(4 * rows * columns, '\1')}}));
  const auto checkpoint = Checkpoint::open(directory.path());
  ASSERT_TRUE(checkpoint) << checkpoint.error().message;
  const std::string file = directory.file("model.safetensors");
  EXPECT_LE(touched_kib(file), huge_page) << "the header";
  ShardReader reader(*checkpoint);
  ASSERT_TRUE(reader.rows({.tensor = "m", .tensor_rows = rows, .columns = columns}, even_slice(rows, 1, 4)));
  EXPECT_GE(touched_kib(file), 8 * 1024) << "a quarter is read, for its hash";
  EXPECT_LE(touched_kib(file), 8 * 1024 + 3 * huge_page);
}

TEST(ShardReader, CutsAMatrixOutOfATensorOfPlanes) {
  const TemporaryDirectory directory;
  directory.write("model.safetensors", safetensors_file({{"e", "F32", {3, 4, 2}, bytes_of(counting(24))}}));
  const auto checkpoint = Checkpoint::open(directory.path());
  ASSERT_TRUE(checkpoint) << checkpoint.error().message;
  ShardReader reader(*checkpoint);
  // The lower two rows of the second plane.
  const MatrixPlace place{.tensor = "e", .tensor_rows = 12, .columns = 2, .first_row = 6, .planes = 3};
  const auto rows = reader.rows(place, {1, 1});
  ASSERT_TRUE(rows) << rows.error().message;
  EXPECT_EQ(at(*rows, 0, 0), 14);
  const auto columns = reader.columns(place, 2, {1, 1});
  ASSERT_TRUE(columns) << columns.error().message;
  EXPECT_EQ(at(*columns, 0, 0), 13);
  EXPECT_EQ(at(*columns, 1, 0), 15);
  const auto flat = reader.rows({.tensor = "e", .tensor_rows = 12, .columns = 2}, {0, 1});
  ASSERT_FALSE(flat);
  EXPECT_NE(flat.error().message.find("shape [3, 4, 2], expected [12, 2]"), std::string::npos) << flat.error().message;
}

TEST(ShardReader, CutsAMatrixOutOfAFusedTensor) {
  const TemporaryDirectory directory;
  const Checkpoint checkpoint = open_matrix(directory);
  ShardReader reader(checkpoint);
  MatrixPlace lower = matrix;
  lower.first_row = 2;
  const auto part = reader.rows(lower, {1, 1});
  ASSERT_TRUE(part);
  EXPECT_EQ(at(*part, 0, 0), 30.0f);
  EXPECT_EQ(at(*reader.columns(lower, 2, {4, 1}), 1, 0), 34.0f);
}

TEST(ShardReader, GivesARankItsPartOfABias) {
  const TemporaryDirectory directory;
  const Checkpoint checkpoint = open_matrix(directory);
  ShardReader reader(checkpoint);
  auto part = reader.rows(matrix, {2, 2});
  ASSERT_TRUE(part);
  ASSERT_TRUE(reader.add_bias(*part, "m.bias", 4, {2, 2}));
  EXPECT_EQ(static_cast<const float*>(part->bias)[1], 10.0f);
  EXPECT_FALSE(reader.add_bias(*part, "m.bias", 4, {0, 3}));
  EXPECT_FALSE(reader.add_bias(*part, "m.bias", 5, {0, 2}));
}

TEST(ShardReader, RefusesPartsOutsideTheTensor) {
  const TemporaryDirectory directory;
  const Checkpoint checkpoint = open_matrix(directory);
  ShardReader reader(checkpoint);
  for (const Slice slice : {Slice{3, 2}, Slice{-1, 2}, Slice{0, 0}, Slice{4, 1}})
    EXPECT_FALSE(reader.rows(matrix, slice));
  EXPECT_FALSE(reader.columns(matrix, 5, {0, 10}));
  EXPECT_FALSE(reader.columns(matrix, 4, {5, 6}));
}

TEST(ShardReader, CopiesWhatIsNotAlignedAndHashesItAlike) {
  const TemporaryDirectory one, two;
  const Checkpoint plain = open_matrix(one), shifted = open_matrix(two, true);
  ShardReader a(plain), b(shifted);
  ASSERT_TRUE(a.columns(matrix, 4, {5, 5}));
  const auto part = b.columns(matrix, 4, {5, 5});
  ASSERT_TRUE(part);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(part->data) % alignof(float), 0u);
  EXPECT_EQ(at(*part, 3, 4), 39.0f);
  EXPECT_EQ(a.hash(), b.hash());
}

TEST(WeightHash, IsEqualForTheSamePartsAndNoOthers) {
  const TemporaryDirectory one, two;
  const Checkpoint same = open_matrix(one), other = open_matrix(two, false, 1);
  const auto hash = [](const Checkpoint& checkpoint, Slice slice) {
    ShardReader reader(checkpoint);
    EXPECT_TRUE(reader.columns(matrix, 4, slice));
    return reader.hash();
  };
  EXPECT_EQ(hash(same, {0, 5}), hash(same, {0, 5}));
  EXPECT_NE(hash(same, {0, 5}), hash(same, {5, 5}));
  EXPECT_NE(hash(same, {0, 5}), hash(other, {0, 5}));
  EXPECT_EQ(hash(same, {5, 5}), hash(other, {5, 5}));  // they differ outside this shard
  EXPECT_EQ(to_string(WeightHash{1, 255}), "000000000000000100000000000000ff");
}

}  // namespace
}  // namespace weft::engine
