// What fuzzing began with and what it found, each file through its target. A broken promise aborts.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz_targets.h"

namespace weft::fuzz {
namespace {

std::vector<std::filesystem::path> files_of(const std::string& folder) {
  std::vector<std::filesystem::path> files;
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator(folder, missing))
    files.push_back(entry.path());
  return files;
}

class FuzzTarget : public testing::TestWithParam<Target> {};

TEST_P(FuzzTarget, KeepsItsPromisesForSeedsAndFindings) {
  const std::string folder = WEFT_SOURCE_DIR "/tests/fuzz/";
  const std::string name(GetParam().name);
  auto files = files_of(folder + "seeds/" + name);
  EXPECT_FALSE(files.empty()) << "a target without a seed";
  const auto found = files_of(folder + "regressions/" + name);
  files.insert(files.end(), found.begin(), found.end());
  GetParam().run({});
  for (const auto& file : files) {
    SCOPED_TRACE(file.string());
    std::ifstream stream(file, std::ios::binary);
    const std::vector<char> bytes(std::istreambuf_iterator<char>(stream), {});
    const std::vector<std::uint8_t> input(bytes.begin(), bytes.end());
    GetParam().run(input);
  }
}

INSTANTIATE_TEST_SUITE_P(All, FuzzTarget, testing::ValuesIn(targets),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace weft::fuzz
