#include "core/cluster/run_directory.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/support/temporary_directory.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

class RunDirectoryTest : public testing::Test {
 protected:
  RunDirectoryTest() { setenv("XDG_STATE_HOME", directory_.path().c_str(), 1); }
  static unsigned mode(const std::string& path) {
    struct stat found {};
    EXPECT_EQ(stat(path.c_str(), &found), 0) << path;
    return found.st_mode & 0777;
  }
  test::TemporaryDirectory directory_;
};

TEST_F(RunDirectoryTest, ByDefaultItIsNamedAfterTheClusterInTheStateDirectory) {
  const auto run = RunDirectory::create("", "mine");
  ASSERT_TRUE(run) << run.error().message;
  EXPECT_EQ((*run)->path(), directory_.file("weft/mine"));
  EXPECT_EQ(mode((*run)->path()), 0700u);
  EXPECT_EQ(mode((*run)->path() + "/logs"), 0700u);
  EXPECT_EQ((*run)->log_path(3, 2), directory_.file("weft/mine/logs/rank-3.2.log"));
}

TEST_F(RunDirectoryTest, TheTokenIsLongAndForItsOwnerAlone) {
  const auto run = RunDirectory::create("", "mine");
  ASSERT_TRUE(run);
  EXPECT_EQ((*run)->token().size(), 64u);
  EXPECT_EQ((*run)->token().find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_EQ(mode((*run)->path() + "/token"), 0600u);
  EXPECT_EQ(directory_.read("weft/mine/token"), (*run)->token() + "\n");
}

TEST_F(RunDirectoryTest, EachRunHasItsOwnToken) {
  std::string first;
  {
    const auto run = RunDirectory::create("", "mine");
    ASSERT_TRUE(run);
    first = (*run)->token();
  }
  const auto run = RunDirectory::create("", "mine");
  ASSERT_TRUE(run);
  EXPECT_NE((*run)->token(), first);
}

TEST_F(RunDirectoryTest, TheEndpointIsReplacedWhole) {
  const auto run = RunDirectory::create("", "mine");
  ASSERT_TRUE(run);
  ASSERT_TRUE((*run)->publish_endpoint("tcp://127.0.0.1:1"));
  std::ifstream old((*run)->path() + "/endpoint");
  ASSERT_TRUE((*run)->publish_endpoint("tcp://127.0.0.1:22222"));
  std::string line;
  std::getline(old, line);
  EXPECT_EQ(line, "tcp://127.0.0.1:1") << "who had it open reads the old one to its end";
  EXPECT_EQ(directory_.read("weft/mine/endpoint"), "tcp://127.0.0.1:22222\n");
  EXPECT_EQ(mode((*run)->path() + "/endpoint"), 0600u);
  EXPECT_FALSE(fs::exists((*run)->path() + "/endpoint.new"));
}

TEST_F(RunDirectoryTest, ASecondClusterOfTheDefaultNameLivesBesideTheFirst) {
  const auto first = RunDirectory::create("", "mine");
  auto second = RunDirectory::create("", "mine");
  const auto third = RunDirectory::create("", "mine");
  ASSERT_TRUE(first && second && third);
  EXPECT_EQ((*second)->path(), directory_.file("weft/mine-2"));
  EXPECT_EQ((*third)->path(), directory_.file("weft/mine-3"));
  second->reset();
  const auto fourth = RunDirectory::create("", "mine");
  ASSERT_TRUE(fourth);
  EXPECT_EQ((*fourth)->path(), directory_.file("weft/mine-2")) << "a place that is free again is taken";
}

TEST_F(RunDirectoryTest, AConfiguredOneThatIsInUseIsRefusedWithTheProcessNamed) {
  const auto first = RunDirectory::create(directory_.file("here"), "mine");
  ASSERT_TRUE(first);
  const auto second = RunDirectory::create(directory_.file("here"), "other");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::already_exists);
  EXPECT_NE(second.error().message.find("in use by process " + std::to_string(getpid())), std::string::npos)
      << second.error().message;
  EXPECT_EQ(directory_.read("here/token"), (*first)->token() + "\n") << "the holder's files are left alone";
}

TEST_F(RunDirectoryTest, WhatAKilledHeadLeftIsReplaced) {
  fs::create_directories(directory_.file("here/logs"));
  directory_.write("here/lock", "1\n");
  directory_.write("here/token", "old");
  directory_.write("here/token.new", "half");
  directory_.write("here/endpoint", "tcp://127.0.0.1:1\n");
  directory_.write("here/logs/rank-7.3.log", "old");
  const auto run = RunDirectory::create(directory_.file("here"), "mine");
  ASSERT_TRUE(run) << run.error().message;
  EXPECT_EQ(directory_.read("here/token"), (*run)->token() + "\n");
  EXPECT_EQ(mode(directory_.file("here/token")), 0600u);
  EXPECT_EQ(directory_.read("here/lock"), std::to_string(getpid()) + "\n");
  EXPECT_FALSE(fs::exists(directory_.file("here/endpoint"))) << "nothing answers there any more";
  EXPECT_FALSE(fs::exists(directory_.file("here/logs/rank-7.3.log")));
}

TEST_F(RunDirectoryTest, OtherFilesAndTheModeOfAGivenDirectoryAreLeftAlone) {
  fs::create_directories(directory_.file("project/logs"));
  chmod(directory_.file("project").c_str(), 0755);
  directory_.write("project/logs/mine.log", "precious");
  directory_.write("project/logs/rank-notes.txt", "precious");
  ASSERT_TRUE(RunDirectory::create(directory_.file("project") + "/", "mine"));
  EXPECT_EQ(mode(directory_.file("project")), 0755u);
  EXPECT_EQ(directory_.read("project/logs/mine.log"), "precious");
  EXPECT_EQ(directory_.read("project/logs/rank-notes.txt"), "precious");
}

TEST_F(RunDirectoryTest, ADirectoryThatOthersMayWriteToIsRefused) {
  fs::create_directories(directory_.file("open"));
  chmod(directory_.file("open").c_str(), 01777);
  const auto run = RunDirectory::create(directory_.file("open"), "mine");
  ASSERT_FALSE(run);
  EXPECT_EQ(run.error().code, ErrorCode::permission_denied);
  EXPECT_EQ(mode(directory_.file("open")), 0777u);
}

TEST_F(RunDirectoryTest, AFileInItsPlaceIsNamed) {
  directory_.write("file", "");
  const auto run = RunDirectory::create(directory_.file("file"), "mine");
  ASSERT_FALSE(run);
  EXPECT_NE(run.error().message.find(directory_.file("file") + ": not a directory"), std::string::npos)
      << run.error().message;
}

TEST_F(RunDirectoryTest, ANameThatIsAPathIsRefused) {
  for (const char* name : {"../up", "a/b", "", "."})
    EXPECT_EQ(RunDirectory::create("", name).error().code, ErrorCode::invalid_argument) << name;
}

TEST_F(RunDirectoryTest, WithoutHomeItAsksForRunDir) {
  unsetenv("XDG_STATE_HOME");
  const char* home = std::getenv("HOME");
  const std::string kept = home == nullptr ? "" : home;
  unsetenv("HOME");
  const auto run = RunDirectory::create("", "mine");
  setenv("HOME", kept.c_str(), 1);
  ASSERT_FALSE(run);
  EXPECT_NE(run.error().message.find("run_dir"), std::string::npos);
}

TEST_F(RunDirectoryTest, ItsEndTakesEndpointAndTokenAwayAndLeavesTheLogs) {
  {
    const auto run = RunDirectory::create("", "mine");
    ASSERT_TRUE(run);
    ASSERT_TRUE((*run)->publish_endpoint("tcp://127.0.0.1:1"));
    std::ofstream((*run)->log_path(0, 1)) << "a line\n";
  }
  EXPECT_FALSE(fs::exists(directory_.file("weft/mine/endpoint")));
  EXPECT_FALSE(fs::exists(directory_.file("weft/mine/token")));
  EXPECT_TRUE(fs::exists(directory_.file("weft/mine/logs/rank-0.1.log")));
}

TEST_F(RunDirectoryTest, TheTailOfAFileIsItsLastLines) {
  const auto tail = [&](const std::string& text, int lines) {
    return tail_of_file(directory_.write("log", text), lines);
  };
  EXPECT_EQ(tail("", 3), "");
  EXPECT_EQ(tail("\n\n", 3), "");
  EXPECT_EQ(tail("a", 3), "a");
  EXPECT_EQ(tail("a\nb\nc\nd\n", 2), "c\nd");
  EXPECT_EQ(tail("a\nb\nc\nd", 2), "c\nd");
  EXPECT_EQ(tail("a\nb", 2), "a\nb");
  EXPECT_EQ(tail("\na\nb", 2), "a\nb");
  EXPECT_EQ(tail("\na\nb", 3), "\na\nb");
  EXPECT_EQ(tail("a\n\n\nb", 2), "\nb");
  EXPECT_EQ(tail("a\nb", 0), "");
  EXPECT_EQ(tail_of_file(directory_.file("none"), 3), "");
  EXPECT_EQ(tail_of_file(directory_.path(), 3), "");
  EXPECT_EQ(tail(std::string(1 << 20, 'x') + "\nlast", 1), "last");
  EXPECT_EQ(tail(std::string(1 << 20, 'x'), 20).size(), 64u << 10) << "one endless line is cut";
}

}  // namespace
}  // namespace weft
