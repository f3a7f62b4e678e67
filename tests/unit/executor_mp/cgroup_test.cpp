// Cgroups of ranks. The first half works on directories that only look like cgroups; the second needs a cgroup of version 2 that
// this process may write to, and is skipped with the reason where there is none.
#include "plugins/executor_mp/cgroup.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/temporary_directory.h"

namespace weft::mp {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

class FakeCgroups : public ::testing::Test {
 protected:
  // A mount of version 2 at "<directory>/mounted here" that shows /outer, and this process in /outer/mine.
  FakeCgroups() {
    fs::create_directories(own());
    directory_.write("own", "4:memory:/elsewhere\n0::/outer/mine\n");
    directory_.write("mounts",
                     "20 1 0:1 / /proc rw - proc proc rw\n"
                     "30 25 0:27 /outer " +
                         directory_.path() + "/mounted\\040here rw,nosuid shared:4 - cgroup2 cgroup2 rw\n");
    directory_.write("mounted here/mine/cgroup.procs", "1\n" + std::to_string(getpid()) + "\n");
  }
  std::string own() const { return directory_.file("mounted here/mine"); }
  std::string why_not() const {
    const auto made = CgroupFolder::make({.mounts = directory_.file("mounts"), .own = directory_.file("own")});
    EXPECT_FALSE(made);
    EXPECT_EQ(made.error().code, ErrorCode::failed_precondition);
    return made ? "" : made.error().message;
  }

  test::TemporaryDirectory directory_;
};

TEST_F(FakeCgroups, AreLookedForBelowTheCgroupOfThisProcessAndLeaveNothingWhereTheyAreOfNoUse) {
  EXPECT_THAT(why_not(), AllOf(HasSubstr("in " + own() + " is of type ''"), HasSubstr("expected 'domain'")));
  EXPECT_EQ(std::distance(fs::directory_iterator(own()), {}), 1) << "cgroup.procs alone";
}

TEST_F(FakeCgroups, NeedAHierarchyOfVersion2ThatThisProcessIsIn) {
  directory_.write("own", "4:memory:/elsewhere\n1:name=systemd:/x\n");
  EXPECT_EQ(why_not(), "this process is in no cgroup of version 2");
  directory_.write("own", "0::/../outside\n");
  EXPECT_THAT(why_not(), HasSubstr("this process's cgroup /../outside is not seen below"));
  directory_.write("own", "0::/outer/mine\n");
  directory_.write("mounted here/mine/cgroup.procs", "1\n");
  EXPECT_THAT(why_not(), HasSubstr("this process's cgroup /outer/mine is not seen below"));
  directory_.write("mounts", "20 1 0:1 / /proc rw - proc proc rw\n");
  EXPECT_EQ(why_not(), "cgroups of version 2 are not mounted");
}

TEST_F(FakeCgroups, OfAHeadThatIsNoMoreAreRemovedAndNoOthers) {
  const pid_t gone = fork();
  if (gone == 0) _exit(0);
  ASSERT_GT(gone, 0);
  ASSERT_EQ(waitpid(gone, nullptr, 0), gone);
  const std::string abandoned = own() + "/weft-" + std::to_string(gone) + "-3";
  const std::string used = own() + "/weft-" + std::to_string(getpid()) + "-999";
  fs::create_directories(abandoned + "/0-g.1-rank-0/inner");
  fs::create_directories(used);
  fs::create_directories(own() + "/weft-" + std::to_string(gone));
  fs::create_directories(own() + "/w");
  (void)why_not();
  EXPECT_FALSE(fs::exists(abandoned));
  EXPECT_TRUE(fs::exists(used));
  EXPECT_TRUE(fs::exists(own() + "/weft-" + std::to_string(gone))) << "no name of ours";
  EXPECT_TRUE(fs::exists(own() + "/w"));
}

TEST_F(FakeCgroups, AreKilledByTheirFileAndSayWhatTheyCannotRemove) {
  directory_.write("mounted here/mine/cgroup.kill", "");
  directory_.write("mounted here/mine/cgroup.events", "populated 0\nfrozen 0\n");
  Cgroup cgroup(own());
  cgroup.kill();
  EXPECT_EQ(directory_.read("mounted here/mine/cgroup.kill"), "1");
  const Status ended = cgroup.end();
  ASSERT_FALSE(ended) << "its files are no kernel's and hold it up";
  EXPECT_THAT(ended.error().message, HasSubstr(own() + " cannot be removed"));
  EXPECT_TRUE(cgroup.end()) << "once";
  EXPECT_TRUE(Cgroup().end()) << "none";
  EXPECT_EQ(Cgroup().open_door(), -1);
}

class RealCgroups : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!folder_) GTEST_SKIP() << folder_.error().message;
  }
  // A process in `cgroup` that waits to be killed; its number.
  static pid_t start_in(const Cgroup& cgroup) {
    const int door = cgroup.open_door();
    EXPECT_GE(door, 0);
    int ready[2];
    EXPECT_EQ(pipe2(ready, O_CLOEXEC), 0);
    const pid_t child = fork();
    if (child == 0) {
      setsid();
      if (write(door, "0", 1) != 1 || write(ready[1], "!", 1) != 1) _exit(1);
      pause();
      _exit(0);
    }
    close(door);
    close(ready[1]);
    char said = 0;
    EXPECT_EQ(read(ready[0], &said, 1), 1);
    close(ready[0]);
    return child;
  }
  static int ended_by(pid_t child) {
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
  }

  Result<CgroupFolder> folder_ = CgroupFolder::make();
};

TEST_F(RealCgroups, KillAllThatIsInThemAndGo) {
  auto first = folder_->add("a/gang: \xc3\xa4.1-rank-0");
  auto second = folder_->add("a/gang: \xc3\xa4.1-rank-0");
  ASSERT_TRUE(first) << first.error().message;
  ASSERT_TRUE(second) << "a name may come again";
  const pid_t one = start_in(*first);
  const pid_t other = start_in(*second);
  first->kill();
  EXPECT_EQ(ended_by(one), SIGKILL);
  EXPECT_EQ(kill(other, 0), 0) << "in a cgroup of its own";
  EXPECT_TRUE(second->end());
  EXPECT_EQ(ended_by(other), SIGKILL);
  EXPECT_TRUE(first->end());
  for (const auto& entry : fs::directory_iterator(folder_->path()))
    EXPECT_FALSE(entry.is_directory()) << entry.path() << " is left";
}

TEST_F(RealCgroups, TakeAlongWhatTheirProcessesMadeBelow) {
  auto cgroup = folder_->add("rank-0");
  ASSERT_TRUE(cgroup);
  const fs::path made = folder_->path() + "/0-rank-0";
  ASSERT_TRUE(fs::create_directories(made / "inner/most"));
  Cgroup inner((made / "inner/most").string());
  const pid_t child = start_in(inner);
  EXPECT_TRUE(cgroup->end());
  EXPECT_EQ(ended_by(child), SIGKILL);
  EXPECT_FALSE(fs::exists(made));
}

TEST_F(RealCgroups, OfAnExecutorGoWithIt) {
  const std::string path = folder_->path();
  ASSERT_TRUE(fs::exists(path));
  { const CgroupFolder moved = std::move(*folder_); }
  EXPECT_FALSE(fs::exists(path));
}

}  // namespace
}  // namespace weft::mp
