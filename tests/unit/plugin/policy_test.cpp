// The stages before anything of the file runs: owner, permissions, sha256, and whether it is a library at
// all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/plugin/file_policy.h"
#include "core/plugin/plugin_host.h"
#include "tests/unit/plugin/temp_directory.h"

namespace weft {
namespace {

using ::testing::HasSubstr;
using weft::testing::TempDirectory;

class PluginFilePolicy : public ::testing::Test {
 protected:
  tl::expected<const LoadedPlugin*, Refusal> load(const std::string& path, const std::string& sha256 = "",
                                                  bool strict = false) {
    host_.emplace(PluginHost::Options{.strict = strict});
    return host_->try_load({.kind = "load_balancer", .path = path, .sha256 = sha256});
  }
  void expect_refused(const std::string& path, Stage stage, const std::string& found, bool strict = false) {
    const auto loaded = load(path, "", strict);
    ASSERT_FALSE(loaded);
    ASSERT_TRUE(loaded.error().stage) << loaded.error().error.message;
    EXPECT_EQ(to_string(*loaded.error().stage), to_string(stage));
    EXPECT_THAT(loaded.error().error.message, HasSubstr(found));
  }

  TempDirectory directory_;
  std::optional<PluginHost> host_;
};

TEST_F(PluginFilePolicy, TakesAFileThatOnlyItsOwnerWrites) {
  const auto loaded = load(directory_.fixture("good"));
  ASSERT_TRUE(loaded) << loaded.error().error.message;
  EXPECT_TRUE((*loaded)->info.warnings.empty());
}

TEST_F(PluginFilePolicy, RefusesAWorldWritableFile) {
  const std::string file = directory_.fixture("good");
  ASSERT_EQ(::chmod(file.c_str(), 0757), 0);
  expect_refused(file, Stage::file_policy, "the file is world-writable (mode 0757)");
}

TEST_F(PluginFilePolicy, RefusesAWorldWritableDirectoryUnlessItIsSticky) {
  const std::string file = directory_.fixture("good");
  ASSERT_EQ(::chmod(directory_.path().c_str(), 0777), 0);
  expect_refused(file, Stage::file_policy, "is world-writable");
  ASSERT_EQ(::chmod(directory_.path().c_str(), 01777), 0);
  EXPECT_TRUE(load(file));
}

TEST_F(PluginFilePolicy, RefusesALinkInAWorldWritableDirectory) {
  const std::string file = directory_.fixture("good");
  const std::string open_directory = directory_.file("open");
  ASSERT_EQ(::mkdir(open_directory.c_str(), 0700), 0);
  const std::string link = open_directory + "/libweft-load_balancer-good.so";
  ASSERT_EQ(::symlink(file.c_str(), link.c_str()), 0);
  EXPECT_TRUE(load(link));
  ASSERT_EQ(::chmod(open_directory.c_str(), 0777), 0);
  expect_refused(link, Stage::file_policy, "world-writable");
}

TEST_F(PluginFilePolicy, WarnsOfAGroupWritableFileAndRefusesItUnderStrict) {
  const std::string file = directory_.fixture("good");
  ASSERT_EQ(::chmod(file.c_str(), 0770), 0);
  const auto loaded = load(file);
  ASSERT_TRUE(loaded) << loaded.error().error.message;
  ASSERT_EQ((*loaded)->info.warnings.size(), 1u);
  EXPECT_THAT((*loaded)->info.warnings[0], HasSubstr("group-writable"));
  expect_refused(file, Stage::file_policy, "plugins.strict", true);
}

TEST_F(PluginFilePolicy, RefusesAFileOfAnotherUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "skipped: only root can give a file away";
  const std::string file = directory_.fixture("good");
  ASSERT_EQ(::chown(file.c_str(), 65534, 65534), 0);
  expect_refused(file, Stage::file_policy, "its owner is user 65534; expected root");
}

TEST_F(PluginFilePolicy, RefusesAnotherBuildThanThePinnedOne) {
  const std::string file = directory_.fixture("good");
  const auto loaded = load(file);
  ASSERT_TRUE(loaded);
  const std::string digest = (*loaded)->info.sha256;
  std::string upper = digest;
  for (char& c : upper)
    c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  EXPECT_TRUE(load(file, upper));
  const auto refused = load(file, std::string(64, 'a'));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().stage, Stage::file_policy);
  EXPECT_THAT(refused.error().error.message, HasSubstr(digest));
  EXPECT_EQ(load(file, "abc").error().error.code, ErrorCode::invalid_argument);
}

TEST_F(PluginFilePolicy, ComputesTheSha256OfTheFile) {
  // FIPS 180-2, appendix B.1: the digest of "abc".
  const auto file = PluginFile::open(directory_.write("abc", "abc"), false);
  ASSERT_TRUE(file);
  EXPECT_EQ(*file->sha256(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_F(PluginFilePolicy, SaysThatAFileIsNotThere) {
  const auto loaded = load(directory_.file("libweft-load_balancer-none.so"));
  ASSERT_FALSE(loaded);
  EXPECT_FALSE(loaded.error().stage);
  EXPECT_EQ(loaded.error().error.code, ErrorCode::not_found);
}

TEST_F(PluginFilePolicy, RefusesWhatIsNotARegularFile) {
  const std::string fifo = directory_.file("libweft-load_balancer-fifo.so");
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  expect_refused(fifo, Stage::file_policy, "not a regular file");
  expect_refused(directory_.path().string(), Stage::file_policy, "not a regular file");
}

TEST_F(PluginFilePolicy, RefusesTextAndEmptyFilesNamedLikeALibrary) {
  expect_refused(directory_.write("libweft-load_balancer-text.so", "I am a library, honest."), Stage::symbol,
                 "not an ELF file");
  expect_refused(directory_.write("libweft-load_balancer-empty.so", ""), Stage::symbol, "not an ELF file (0 bytes)");
}

// A digest of it would take minutes.
TEST_F(PluginFilePolicy, RefusesAHugeFileThatIsNoPluginWithoutReadingIt) {
  const std::string text = directory_.write("libweft-load_balancer-text.so", "I am a library, honest.");
  std::filesystem::resize_file(text, std::uintmax_t{1} << 40);
  expect_refused(text, Stage::symbol, "not an ELF file (1099511627776 bytes)");
  const std::string half = directory_.fixture("good");
  std::filesystem::resize_file(half, 4096);
  std::filesystem::resize_file(half, std::uintmax_t{1} << 40);
  expect_refused(half, Stage::symbol, "");
}

TEST_F(PluginFilePolicy, RefusesALibraryTruncatedAnywhere) {
  const std::string file = directory_.fixture("good");
  const auto size = std::filesystem::file_size(file);
  for (std::uintmax_t kept :
       {std::uintmax_t{4}, std::uintmax_t{20}, std::uintmax_t{64}, std::uintmax_t{1000}, size / 2, size - 1}) {
    std::filesystem::resize_file(directory_.fixture("good"), kept);
    expect_refused(file, Stage::symbol, "truncated");
  }
}

TEST_F(PluginFilePolicy, RefusesALibraryWithAnyByteOfItsHeaderBroken) {
  // Nothing here may crash, and what still passes as an ELF must be a plugin or be refused by a later stage.
  // Bytes that the dynamic linker acts upon are left to the child process of discover(); here only what is
  // read.
  const std::string file = directory_.fixture("good");
  std::ifstream in(file, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(in)), {});
  for (const std::size_t at : {0u, 4u, 5u, 18u, 32u, 33u, 40u, 41u, 54u, 56u, 58u, 60u}) {
    std::string broken = bytes;
    for (std::size_t i = at; i < at + 2; ++i)
      broken[i] = static_cast<char>(0xff);
    expect_refused(directory_.write("libweft-load_balancer-good.so", broken), Stage::symbol, "stage 'symbol'");
  }
}

}  // namespace
}  // namespace weft
