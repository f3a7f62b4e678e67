#include "engine/weights/checkpoint.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "tests/support/safetensors_writer.h"
#include "tests/support/temporary_directory.h"

namespace weft::engine {
namespace {

using test::bytes_of;
using test::NewTensor;
using test::safetensors_file;
using test::TemporaryDirectory;

const NewTensor a{"a", "F32", {2, 2}, bytes_of({1, 2, 3, 4})};
const NewTensor b{"b", "F32", {3}, bytes_of({5, 6, 7})};

constexpr const char* single = "model.safetensors";
constexpr const char* index_file = "model.safetensors.index.json";

void expect_error(const TemporaryDirectory& directory, const std::string& part) {
  const auto opened = Checkpoint::open(directory.path());
  ASSERT_FALSE(opened) << part;
  EXPECT_NE(opened.error().message.find(part), std::string::npos) << opened.error().message;
  EXPECT_EQ(opened.error().message.rfind("weights: ", 0), 0u) << opened.error().message;
}

// Shards "1.safetensors" with a and "2.safetensors" with b, and this index.
void write_shards(const TemporaryDirectory& directory, const std::string& map) {
  directory.write("1.safetensors", safetensors_file({a}));
  directory.write("2.safetensors", safetensors_file({b}));
  directory.write(index_file, "{\"metadata\":{\"total_size\":28},\"weight_map\":" + map + "}");
}

TEST(Checkpoint, FindsTensorsOfOneFileAndOfShards) {
  const TemporaryDirectory one, two;
  one.write(single, safetensors_file({a, b}));
  write_shards(two, R"({"a":"1.safetensors","b":"2.safetensors"})");
  for (const TemporaryDirectory* directory : {&one, &two}) {
    const auto checkpoint = Checkpoint::open(directory->path());
    ASSERT_TRUE(checkpoint) << checkpoint.error().message;
    EXPECT_EQ(checkpoint->names(), (std::vector<std::string_view>{"a", "b"}));
    EXPECT_EQ(checkpoint->bytes(), 28u);
    EXPECT_TRUE(checkpoint->tensor("b", std::array<std::int64_t, 1>{3}));
  }
}

TEST(Checkpoint, NamesFileTensorAndBothShapes) {
  const TemporaryDirectory directory;
  directory.write(single, safetensors_file({a, {"ids", "I64", {1}, std::string(8, '\0')}}));
  const auto checkpoint = Checkpoint::open(directory.path());
  ASSERT_TRUE(checkpoint);
  EXPECT_EQ(checkpoint->tensor("a", std::array<std::int64_t, 2>{2, 3}).error().message,
            "weights: model.safetensors: tensor 'a': shape [2, 2], expected [2, 3]");
  EXPECT_EQ(checkpoint->tensor("c", std::array<std::int64_t, 1>{2}).error().message,
            "weights: tensor 'c' of shape [2] is missing");
  EXPECT_EQ(checkpoint->tensor("ids", std::array<std::int64_t, 1>{1}).error().message,
            "weights: model.safetensors: tensor 'ids': dtype I64, expected F32, F16 or BF16");
}

TEST(Checkpoint, MissingFilesAreNamed) {
  const TemporaryDirectory directory;
  const auto nowhere = Checkpoint::open(directory.file("nowhere"));
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().message, "weights: " + directory.file("nowhere") + ": no such directory");
  expect_error(directory, "neither model.safetensors nor model.safetensors.index.json is there");
  directory.write("pytorch_model.bin", "x");
  expect_error(directory, "it holds pytorch_model.bin, which is not read; convert it");
}

TEST(Checkpoint, EmptyAndTruncatedFilesAreNamed) {
  const TemporaryDirectory directory;
  directory.write(single, "");
  expect_error(directory, "model.safetensors: the file is empty");
  const std::string whole = safetensors_file({a, b});
  directory.write(single, whole.substr(0, whole.size() - 1));
  expect_error(directory, "model.safetensors: tensor 'b': ends at byte 28 of the data, but the file holds 27");
}

TEST(Checkpoint, AnIndexThatDisagreesWithItsShardsIsRefused) {
  const TemporaryDirectory directory;
  write_shards(directory, R"({"a":"1.safetensors","b":"3.safetensors"})");
  expect_error(directory, "names the shard '3.safetensors', which is missing");
  write_shards(directory, R"({"a":"2.safetensors","b":"1.safetensors"})");
  expect_error(directory,
               "2.safetensors: holds tensor 'b', which model.safetensors.index.json places in '1.safetensors'");
  write_shards(directory, R"({"a":"1.safetensors"})");
  EXPECT_TRUE(Checkpoint::open(directory.path()));  // a shard that nobody names is not read
  write_shards(directory, R"({"a":"1.safetensors","b":"2.safetensors","c":"2.safetensors"})");
  expect_error(directory, "2.safetensors: tensor 'c' is missing, which model.safetensors.index.json places there");
  directory.write("1.safetensors", safetensors_file({a, {"z", "F32", {1}, bytes_of({1})}}));
  directory.write(index_file, R"({"weight_map":{"a":"1.safetensors"}})");
  expect_error(directory, "1.safetensors: holds tensor 'z', which model.safetensors.index.json does not name");
}

TEST(Checkpoint, AnIndexMayNotLeadOutOfItsDirectory) {
  const TemporaryDirectory directory;
  for (const char* name : {"../1.safetensors", "/etc/passwd", "", ".safetensors", "x/1.safetensors", "1.bin",
                           "1\\u0000.safetensors", "..\\\\1.safetensors"}) {
    write_shards(directory, std::string(R"({"a":")") + name + "\"}");
    expect_error(directory, "expected a .safetensors file beside the index");
  }
}

TEST(Checkpoint, AnIndexThatIsNoIndexIsRefused) {
  const TemporaryDirectory directory;
  for (const char* map : {"[]", "{}", "3", "null"}) {
    write_shards(directory, map);
    expect_error(directory, "no 'weight_map'");
  }
  write_shards(directory, R"({"a":7})");
  expect_error(directory, "tensor 'a': number where a file's name is expected");
  directory.write(index_file, "{\"weight_map\": {\"a\"");
  expect_error(directory, "not valid JSON at byte");
}

}  // namespace
}  // namespace weft::engine
