// Hostile files: each is an error that says what is wrong, none reads outside the file (run under asan).
#include "engine/weights/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>
#include <string>

#include "tests/support/safetensors_writer.h"

namespace weft::engine {
namespace {

using test::bytes_of;
using test::safetensors_file;

// Opens a copy of exactly the file's size, so that a byte read past its end is an error of the sanitizer.
Result<std::size_t> read_all(const std::string& file) {
  const auto copy = std::make_unique<std::byte[]>(file.size());
  std::memcpy(copy.get(), file.data(), file.size());
  WEFT_ASSIGN(opened, Safetensors::view({copy.get(), file.size()}, "model.safetensors"));
  std::size_t sum = 0;
  for (const auto& [name, tensor] : opened.tensors())
    for (Bytes i = 0; i < tensor.bytes; ++i)
      sum += std::to_integer<std::size_t>(tensor.data[i]);
  return sum;
}

void expect_error(const std::string& file, const std::string& part) {
  const auto result = read_all(file);
  ASSERT_FALSE(result) << part;
  EXPECT_NE(result.error().message.find(part), std::string::npos) << result.error().message;
  EXPECT_EQ(result.error().message.rfind("model.safetensors: ", 0), 0u) << result.error().message;
}

std::string one_tensor(const std::string& fields, std::size_t data_bytes = 16) {
  return safetensors_file("{\"x\":{" + fields + "}}", std::string(data_bytes, 'd'));
}

std::string good_file() {
  return safetensors_file({{"a", "F32", {2, 3}, bytes_of({1, 2, 3, 4, 5, 6})},
                           {"b", "BF16", {4}, std::string(8, '\1')},
                           {"empty", "F32", {0, 7}, ""},
                           {"scalar", "F16", {}, std::string(2, '\2')}});
}

TEST(Safetensors, FindsTensorsByNameWithTypeShapeAndBytes) {
  const std::string file = good_file();
  const auto opened = Safetensors::view(std::as_bytes(std::span(file)), "model.safetensors");
  ASSERT_TRUE(opened) << opened.error().message;
  ASSERT_EQ(opened->tensors().size(), 4u);
  const TensorEntry& a = opened->tensors().find("a")->second;
  EXPECT_EQ(a.dtype, DType::f32);
  EXPECT_EQ(a.shape, (std::vector<std::int64_t>{2, 3}));
  float last = 0;
  std::memcpy(&last, a.data + 20, sizeof last);
  EXPECT_EQ(last, 6.0f);
  EXPECT_EQ(opened->tensors().find("empty")->second.bytes, 0u);
  EXPECT_EQ(opened->tensors().find("scalar")->second.bytes, 2u);
}

TEST(Safetensors, EveryTruncationIsAnError) {
  const std::string file = good_file();
  for (std::size_t size = 0; size < file.size(); ++size)
    EXPECT_FALSE(read_all(file.substr(0, size))) << size << " bytes";
}

TEST(Safetensors, TrailingBytesAndHolesAreErrors) {
  expect_error(good_file() + "x", "but the file holds");
  expect_error(one_tensor(R"("dtype":"F32","shape":[2],"data_offsets":[8,16])"), "nothing claims the data from 0");
}

TEST(Safetensors, NoBitFlipCrashesOrReadsOutside) {
  const std::string file = good_file();
  std::size_t refused = 0;
  for (std::size_t bit = 0; bit < file.size() * 8; ++bit) {
    std::string flipped = file;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    refused += read_all(flipped) ? 0 : 1;
  }
  EXPECT_GT(refused, file.size());
}

TEST(Safetensors, NoRandomHeaderCrashesOrReadsOutside) {
  std::mt19937 random(1);
  const std::string alphabet = "{}[]:,\"\\ 0123456789-eEdtypshaF32xBbool\xff";
  for (int i = 0; i < 20000; ++i) {
    std::string header = "{\"x\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}";
    for (int edits = 0; edits < 3; ++edits)
      header[random() % header.size()] = alphabet[random() % alphabet.size()];
    (void)read_all(safetensors_file(header, std::string(16, 'd')));
  }
}

TEST(Safetensors, AHeaderOfTenGigabytesIsRefusedUnread) {
  std::string file = good_file();
  const std::uint64_t length = 10'000'000'000u;
  for (std::size_t i = 0; i < 8; ++i)
    file[i] = static_cast<char>(length >> (8 * i));
  expect_error(file, "a header of 10000000000 bytes, at most 100000000 are allowed");
  for (std::size_t i = 0; i < 8; ++i)
    file[i] = '\xff';
  expect_error(file, "a header of 18446744073709551615 bytes");
}

TEST(Safetensors, AHeaderNestedAHundredThousandDeepIsRefused) {
  expect_error(safetensors_file("{\"x\":" + std::string(100000, '{'), ""), "not valid JSON");
  expect_error(safetensors_file("{\"x\":{\"shape\":" + std::string(100000, '[') + "}", ""), "a list in the header");
  expect_error(safetensors_file("{\"__metadata__\":{\"a\":{\"b\":" + std::string(1000, '{') + "}", ""), "an object");
}

TEST(Safetensors, ShapesAndOffsetsThatDisagreeAreNamed) {
  expect_error(one_tensor(R"("dtype":"F32","shape":[5],"data_offsets":[0,16])"),
               "tensor 'x': shape [5] of F32 does not take the 16 bytes of its offsets [0, 16]");
  expect_error(one_tensor(R"("dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,16])"),
               "does not take the 16 bytes");
  expect_error(one_tensor(R"("dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4])"), "does not take");
  expect_error(one_tensor(R"("dtype":"F32","shape":[4],"data_offsets":[16,0])"), "the end is before the beginning");
  expect_error(one_tensor(R"("dtype":"F32","shape":[5],"data_offsets":[0,20])"),
               "ends at byte 20 of the data, but the file holds 16: it is cut short");
  expect_error(one_tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,9223372036854775807])"), "cut short");
  expect_error(one_tensor(R"("dtype":"F32","shape":[-4],"data_offsets":[0,16])"), "the negative number -4");
  expect_error(one_tensor(R"("dtype":"F32","shape":[4.0],"data_offsets":[0,16])"), "the number '4.0'");
  expect_error(one_tensor(R"("dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,16])"), "the number");
}

TEST(Safetensors, FieldsThatAreMissingTwiceOrUnknownAreNamed) {
  expect_error(one_tensor(R"("shape":[4],"data_offsets":[0,16])"), "lacks its dtype");
  expect_error(one_tensor(R"("dtype":"F32","data_offsets":[0,16])"), "lacks its dtype, shape or data_offsets");
  expect_error(one_tensor(R"("dtype":"F33","shape":[4],"data_offsets":[0,16])"), "unknown dtype 'F33'");
  expect_error(one_tensor(R"("dtype":"F32","dtype":"F16","shape":[4],"data_offsets":[0,16])"), "'dtype' twice");
  expect_error(one_tensor(R"("dtype":"F32","shape":[4],"shape":[4],"data_offsets":[0,16])"), "'shape' twice");
  expect_error(one_tensor(R"("dtype":"F32","shape":[4],"data_offsets":[0])"), "a single offset");
  expect_error(one_tensor(R"("dtype":"F32","shape":[4],"data_offsets":[0,16,32])"), "a third offset");
  expect_error(one_tensor(R"("dtype":"F32","shape":[4],"strides":[1],"data_offsets":[0,16])"),
               "unknown field 'strides'");
  expect_error(one_tensor(R"("dtype":"F32","shape":[1,1,1,1,1,1,1,1,4],"data_offsets":[0,16])"), "more than 8");
}

TEST(Safetensors, NamesTwiceAndOverlapsAreNamed) {
  const std::string x = R"("x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  expect_error(safetensors_file("{" + x + "," + x + "}", std::string(8, 'd')), "tensor 'x': the same name twice");
  const std::string y = R"("y":{"dtype":"F32","shape":[3],"data_offsets":[4,16]})";
  expect_error(safetensors_file("{" + x + "," + y + "}", std::string(16, 'd')),
               "tensor 'y': its bytes from 4 overlap those of 'x', which end at 8");
}

TEST(Safetensors, EmptyAndTinyFilesAreErrors) {
  expect_error("", "the file is empty");
  expect_error("1234567", "7 bytes, too short");
  EXPECT_TRUE(read_all(safetensors_file("{}", "")));
  expect_error(safetensors_file("[]", ""), "a list in the header");
  expect_error(safetensors_file("null", ""), "null in the header");
}

}  // namespace
}  // namespace weft::engine
