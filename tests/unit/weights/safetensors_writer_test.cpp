#include "engine/weights/safetensors_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "engine/weights/safetensors.h"
#include "tests/support/temporary_directory.h"

namespace weft::engine {
namespace {

using ::testing::HasSubstr;

// Every byte says which tensor it is of and where.
void fill(std::size_t tensor, Bytes offset, std::span<std::byte> out) {
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<std::byte>((tensor * 31 + offset + i) * 7 & 0xff);
}

const std::vector<NewTensor> tensors = {{.name = "a", .type = DType::bf16, .shape = {3, 5}},
                                        {.name = "long", .type = DType::f32, .shape = {300, 1024}},
                                        {.name = "z \"quoted\"", .type = DType::f16, .shape = {7}}};

TEST(SafetensorsWriter, WhatItWritesIsReadBack) {
  const test::TemporaryDirectory directory;
  const std::string path = directory.file("model.safetensors");
  ASSERT_TRUE(write_safetensors(path, tensors, {{"format", "pt"}}, fill));
  const auto file = Safetensors::open(path);
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_EQ(file->tensors().size(), tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto found = file->tensors().find(tensors[i].name);
    ASSERT_NE(found, file->tensors().end());
    const TensorEntry& entry = found->second;
    EXPECT_EQ(entry.dtype, tensors[i].type);
    EXPECT_EQ(entry.shape, tensors[i].shape);
    std::vector<std::byte> expected(entry.bytes);
    fill(i, 0, expected);
    EXPECT_EQ(std::memcmp(entry.data, expected.data(), expected.size()), 0) << tensors[i].name;
  }
  EXPECT_FALSE(std::filesystem::exists(path + ".new"));
}

TEST(SafetensorsWriter, TakesThePlaceOfWhatWasThereAndOfWhatAnInterruptedOneLeft) {
  const test::TemporaryDirectory directory;
  directory.write("config.json", "old and longer than the new one");
  directory.write("config.json.new", "left");
  ASSERT_TRUE(write_whole_file(directory.file("config.json"), "new"));
  EXPECT_EQ(directory.read("config.json"), "new");
  EXPECT_FALSE(std::filesystem::exists(directory.file("config.json.new")));
}

TEST(SafetensorsWriter, NamesTheFileThatCannotBeWritten) {
  const test::TemporaryDirectory directory;
  const std::string path = directory.file("missing/model.safetensors");
  const Status written = write_safetensors(path, tensors, {}, fill);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::permission_denied);
  EXPECT_THAT(written.error().message, HasSubstr(path));
  std::filesystem::create_directory(directory.file("taken"));
  directory.write("taken/inside", "");
  ASSERT_FALSE(write_whole_file(directory.file("taken"), "text"));
  EXPECT_FALSE(std::filesystem::exists(directory.file("taken.new")));
}

}  // namespace
}  // namespace weft::engine
