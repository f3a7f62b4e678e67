#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>

#include "plugins/executor_mp/mp_executor.h"
#include "tests/support/null_host.h"
#include "tests/support/sanitized.h"
#include "tests/support/temporary_directory.h"

namespace weft::mp {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto patience = std::chrono::seconds(20);

// Collects what the executor says; tests wait for it with a deadline.
class Sink final : public GangSink {
 public:
  void on_pending(const GangId&, std::string_view) override {}
  void on_placed(const GangId&, const std::vector<Placement>& placements) override {
    const std::lock_guard lock(mutex_);
    placed_ = placements;
    was_placed_ = true;
    changed_.notify_all();
  }
  void on_exit(const GangId& gang, std::int32_t rank, const Exit& exit) override {
    if (when_exited) when_exited(gang);
    const std::lock_guard lock(mutex_);
    exits_[rank].push_back(exit);
    changed_.notify_all();
  }
  std::vector<Placement> wait_placed() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, patience, [&] { return was_placed_; }));
    return placed_;
  }
  std::map<std::int32_t, std::vector<Exit>> wait_exits(std::size_t ranks) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, patience, [&] { return exits_.size() >= ranks; }));
    return exits_;
  }
  bool was_placed() {
    const std::lock_guard lock(mutex_);
    return was_placed_;
  }

  std::function<void(const GangId&)> when_exited;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool was_placed_ = false;
  std::vector<Placement> placed_;
  std::map<std::int32_t, std::vector<Exit>> exits_;
};

class MpExecutorTest : public ::testing::Test {
 protected:
  RankSpec shell(std::int32_t rank, const std::string& script) {
    return {.rank = rank,
            .argv = {"/bin/sh", "-c", script},
            .env = {},
            .node = "",
            .cpus = {},
            .devices = {},
            .memory = 0,
            .log_path = directory_.file("log-" + std::to_string(rank))};
  }
  GangSpec gang(std::vector<RankSpec> ranks, std::int64_t incarnation = 1) {
    return {.gang = {"g", incarnation}, .ranks = std::move(ranks)};
  }

  test::NullHost host_;
  test::TemporaryDirectory directory_;
  Sink sink_;
  MpExecutor executor_{MpOptions{}, host_};
};

TEST_F(MpExecutorTest, ReportsEachExitOnceWithItsCode) {
  ASSERT_TRUE(executor_.launch(gang({shell(0, "exit 0"), shell(1, "exit 7"), shell(2, "exit 255")}), sink_));
  const auto exits = sink_.wait_exits(3);
  ASSERT_TRUE(executor_.close());
  for (const auto& [rank, all] : exits)
    EXPECT_EQ(all.size(), 1u) << rank;
  EXPECT_EQ(exits.at(0).front().cause, Exit::Cause::code);
  EXPECT_EQ(exits.at(0).front().value, 0);
  EXPECT_EQ(exits.at(1).front().value, 7);
  EXPECT_EQ(exits.at(2).front().value, 255);
}

TEST_F(MpExecutorTest, TellsTheSignalThatKilledARank) {
  ASSERT_TRUE(executor_.launch(gang({shell(0, "kill -SEGV $$")}), sink_));
  const Exit exit = sink_.wait_exits(1).at(0).front();
  EXPECT_EQ(exit.cause, Exit::Cause::signal);
  EXPECT_EQ(exit.value, SIGSEGV);
}

TEST_F(MpExecutorTest, HandsArgumentsAndEnvironmentOverVerbatim) {
  const std::string odd = "a b\n'\"$HOME\\ \xc3\xa4";
  RankSpec rank = shell(0, "printf '%s|%s' \"$1\" \"$ODD\"");
  rank.argv.insert(rank.argv.end(), {"sh", odd});
  rank.env = {{"ODD", odd}};
  ASSERT_TRUE(executor_.launch(gang({rank}), sink_));
  EXPECT_EQ(sink_.wait_exits(1).at(0).front().value, 0);
  EXPECT_EQ(directory_.read("log-0"), odd + "|" + odd);
}

TEST_F(MpExecutorTest, StartsAGangWholeOrNotAtAll) {
  RankSpec broken = shell(1, "");
  broken.argv = {directory_.file("no-such-program")};
  ASSERT_TRUE(executor_.launch(gang({shell(0, "exec sleep 1000"), broken}), sink_));
  const auto exits = sink_.wait_exits(2);
  for (const auto& [rank, all] : exits) {
    EXPECT_EQ(all.front().cause, Exit::Cause::never_started) << rank;
    EXPECT_THAT(all.front().detail, HasSubstr("no-such-program"));
  }
  EXPECT_FALSE(sink_.was_placed());
}

TEST_F(MpExecutorTest, StopsWithTermAndThenKill) {
  ASSERT_TRUE(executor_.launch(gang({shell(0, "trap '' TERM; echo up; while :; do sleep 1000; done")}), sink_));
  sink_.wait_placed();
  ASSERT_TRUE(executor_.stop({"g", 1}, std::chrono::milliseconds(100)));
  const Exit exit = sink_.wait_exits(1).at(0).front();
  EXPECT_EQ(exit.cause, Exit::Cause::signal);
}

TEST_F(MpExecutorTest, LeavesNoChildrenOfChildren) {
  ASSERT_TRUE(
      executor_.launch(gang({shell(0, "sleep 1000 & echo $! > " + directory_.file("pid") + "; exit 3")}), sink_));
  EXPECT_EQ(sink_.wait_exits(1).at(0).front().value, 3);
  const pid_t grandchild = std::stoi(directory_.read("pid"));
  // It was killed before the exit was told; its descriptor says when the kernel is through with it.
  const int descriptor = static_cast<int>(syscall(SYS_pidfd_open, grandchild, 0));
  if (descriptor < 0) return;  // gone and reaped
  pollfd wait{descriptor, POLLIN, 0};
  EXPECT_EQ(poll(&wait, 1, 20'000), 1);
  close(descriptor);
}

TEST_F(MpExecutorTest, RefusesWhatCanNeverStart) {
  const auto code = [&](const GangSpec& spec) { return executor_.launch(spec, sink_).error().code; };
  EXPECT_EQ(code(gang({})), ErrorCode::invalid_argument);
  EXPECT_EQ(code(gang({shell(0, ""), shell(0, "")})), ErrorCode::invalid_argument);
  RankSpec elsewhere = shell(0, "");
  elsewhere.node = "no-such-node";
  EXPECT_EQ(code(gang({elsewhere})), ErrorCode::invalid_argument);
  EXPECT_EQ(executor_.stop({"g", 1}, Duration::zero()).error().code, ErrorCode::not_found);
}

TEST_F(MpExecutorTest, RefusesCpusAndDevicesThatAreNotThere) {
  const auto inventory = executor_.inventory(Deadline::in(patience));
  ASSERT_TRUE(inventory);
  RankSpec rank = shell(0, "exit 0");
  rank.cpus = {inventory->nodes.front().cpus.front(), 4000};
  const Status no_cpu = executor_.launch(gang({rank}), sink_);
  ASSERT_FALSE(no_cpu);
  EXPECT_EQ(no_cpu.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(no_cpu.error().message, HasSubstr("rank 0: CPU 4000 is not one that ranks may use"));
  rank.cpus.clear();
  rank.devices = {{.kind = "cuda", .index = 1, .memory = 0}};
  const Status no_device = executor_.launch(gang({rank}), sink_);
  ASSERT_FALSE(no_device);
  EXPECT_EQ(no_device.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(no_device.error().message, HasSubstr("device 'cuda' 1 is not there"));
}

TEST_F(MpExecutorTest, ARankInheritsNoDescriptorOfTheHead) {
  const int careless = open("/dev/null", O_RDONLY);  // as a library that knows nothing of O_CLOEXEC
  ASSERT_TRUE(executor_.launch(gang({shell(0, "readlink /proc/$$/fd/" + std::to_string(careless))}), sink_));
  sink_.wait_exits(1);
  close(careless);
  EXPECT_EQ(directory_.read("log-0"), "");
}

TEST_F(MpExecutorTest, MakesTheFoldersOfALog) {
  RankSpec rank = shell(0, "echo there");
  rank.log_path = directory_.file("logs/replica-0/rank-0.log");
  ASSERT_TRUE(executor_.launch(gang({rank}), sink_));
  EXPECT_EQ(sink_.wait_exits(1).at(0).front().value, 0);
  EXPECT_EQ(directory_.read("logs/replica-0/rank-0.log"), "there\n");
}

TEST_F(MpExecutorTest, AGangThatLivesIsNotLaunchedAgain) {
  ASSERT_TRUE(executor_.launch(gang({shell(0, "exec sleep 1000")}), sink_));
  EXPECT_EQ(executor_.launch(gang({shell(0, "exit 0")}, 2), sink_).error().code, ErrorCode::already_exists);
  EXPECT_EQ(executor_.stop({"g", 2}, Duration::zero()).error().code, ErrorCode::not_found);
  ASSERT_TRUE(executor_.stop({"g", 1}, Duration::zero()));
  sink_.wait_exits(1);
}

TEST_F(MpExecutorTest, ASinkMayLaunchTheNextIncarnation) {
  Sink second;
  sink_.when_exited = [&](const GangId& id) {
    EXPECT_TRUE(executor_.launch(gang({shell(0, "exit 5")}, id.incarnation + 1), second));
  };
  ASSERT_TRUE(executor_.launch(gang({shell(0, "exit 4")}), sink_));
  EXPECT_EQ(second.wait_exits(1).at(0).front().value, 5);
  EXPECT_TRUE(executor_.close());
}

TEST_F(MpExecutorTest, CloseKillsWhatLivesAndIsIdempotent) {
  ASSERT_TRUE(executor_.launch(gang({shell(0, "exec sleep 1000"), shell(1, "exec sleep 1000")}), sink_));
  EXPECT_TRUE(executor_.close());
  EXPECT_EQ(sink_.wait_exits(2).size(), 2u);
  EXPECT_TRUE(executor_.close());
  EXPECT_EQ(executor_.launch(gang({shell(0, "")}), sink_).error().code, ErrorCode::failed_precondition);
  EXPECT_EQ(executor_.stop({"g", 1}, Duration::zero()).error().code, ErrorCode::failed_precondition);
}

TEST_F(MpExecutorTest, ARankDoesNotHearTheTerminalsInterrupt) {
  ASSERT_TRUE(executor_.launch(gang({shell(0, "cut -d' ' -f5 /proc/$$/stat")}), sink_));
  const auto placed = sink_.wait_placed();
  sink_.wait_exits(1);
  EXPECT_EQ(std::stoi(directory_.read("log-0")), placed.front().pid);  // its process group is its own
}

TEST_F(MpExecutorTest, BindsARankToItsCores) {
  const auto inventory = executor_.inventory(Deadline::in(patience));
  ASSERT_TRUE(inventory);
  const int cpu = inventory->nodes.front().cpus.back();
  RankSpec rank = shell(0, "grep Cpus_allowed_list /proc/self/status");
  rank.cpus = {cpu};
  ASSERT_TRUE(executor_.launch(gang({rank}), sink_));
  sink_.wait_exits(1);
  EXPECT_THAT(directory_.read("log-0"), HasSubstr("\t" + std::to_string(cpu) + "\n"));
}

// A rank's child in a session of its own; its number is in the file "stray" once it runs there, and then `rest` follows.
std::string with_stray(const test::TemporaryDirectory& directory, const std::string& rest) {
  return "mkfifo " + directory.file("said") + "; setsid sh -c 'echo $$ > " + directory.file("said") +
         "; exec sleep 1000' & cat " + directory.file("said") + " > " + directory.file("stray") + "; " + rest;
}

// Whether a process has ended. It is not this one's child.
bool has_ended(pid_t pid) {
  const int descriptor = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (descriptor < 0) return true;
  pollfd wait{descriptor, POLLIN, 0};
  const int ready = poll(&wait, 1, 0);
  close(descriptor);
  return ready == 1;
}

class MpExecutorWithCgroups : public MpExecutorTest {
 protected:
  void SetUp() override {
    if (const auto folder = CgroupFolder::make(); !folder) GTEST_SKIP() << folder.error().message;
  }
  pid_t stray() { return std::stoi(directory_.read("stray")); }
};

TEST_F(MpExecutorWithCgroups, WhatLeftItsProcessGroupEndsWithItsRank) {
  ASSERT_TRUE(executor_.launch(gang({shell(0, with_stray(directory_, "exit 3"))}), sink_));
  EXPECT_EQ(sink_.wait_exits(1).at(0).front().value, 3);
  EXPECT_TRUE(has_ended(stray()));
}

TEST_F(MpExecutorWithCgroups, WhatLeftItsProcessGroupEndsWhenTheGraceIsOver) {
  const std::string ready = directory_.file("ready");
  ASSERT_EQ(mkfifo(ready.c_str(), 0600), 0);
  const int descriptor = open(ready.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_TRUE(executor_.launch(
      gang({shell(0, "trap '' TERM; " + with_stray(directory_, "echo > " + ready + "; while :; do sleep 1000; done"))}),
      sink_));
  pollfd wait{descriptor, POLLIN, 0};
  ASSERT_EQ(poll(&wait, 1, 20'000), 1);
  close(descriptor);
  EXPECT_FALSE(has_ended(stray()));
  ASSERT_TRUE(executor_.stop({"g", 1}, std::chrono::milliseconds(50)));
  EXPECT_EQ(sink_.wait_exits(1).at(0).front().value, SIGKILL);
  EXPECT_TRUE(has_ended(stray()));
}

// As some containers' filters of system calls do, for the rest of this process's life.
bool refuse_clone3() {
  sock_filter rules[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                         BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
                         BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
                         BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog program{.len = std::size(rules), .filter = rules};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST_F(MpExecutorWithCgroups, ARankMovesInWhereItCannotBeMadeThere) {
  if (!test::threads_after_fork) GTEST_SKIP() << "the executor's thread cannot live in a forked child here";
  const pid_t child = fork();
  if (child == 0) {
    if (!refuse_clone3()) _exit(77);
    MpExecutor executor({}, host_);
    const bool launched = executor.launch(gang({shell(0, with_stray(directory_, "exit 3"))}), sink_).has_value();
    const bool right = launched && sink_.wait_exits(1).at(0).front().value == 3 && has_ended(stray());
    _exit(right && executor.close() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "system calls cannot be filtered here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(MpExecutorWithCgroups, EachRankHasItsOwnAndNoneIsLeft) {
  const std::string script = "sed -n 's/^0::.*\\/weft-/weft-/p' /proc/self/cgroup";
  ASSERT_TRUE(executor_.launch(gang({shell(0, script), shell(7, script)}, 4), sink_));
  sink_.wait_exits(2);
  EXPECT_THAT(directory_.read("log-0"), ::testing::MatchesRegex("weft-[0-9]+-[0-9]+/0-g.4-rank-0\n"));
  EXPECT_THAT(directory_.read("log-7"), ::testing::MatchesRegex("weft-[0-9]+-[0-9]+/1-g.4-rank-7\n"));
  ASSERT_TRUE(executor_.close());
  const auto here = CgroupFolder::make();
  ASSERT_TRUE(here);
  const std::filesystem::path parent = std::filesystem::path(here->path()).parent_path();
  const std::string folder = directory_.read("log-0").substr(0, directory_.read("log-0").find('/'));
  EXPECT_FALSE(std::filesystem::exists(parent / folder));
}

// What the executor logs.
class Listener final : public test::NullHost {
 public:
  void log(LogLevel level, std::string_view message) noexcept override {
    const std::lock_guard lock(mutex_);
    lines_.emplace_back(level, message);
  }
  bool log_enabled(LogLevel) const noexcept override { return true; }
  std::vector<std::pair<LogLevel, std::string>> lines() {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  std::mutex mutex_;  // guards lines_
  std::vector<std::pair<LogLevel, std::string>> lines_;
};

TEST_F(MpExecutorTest, WithoutCgroupsItGoesOnAndSaysWhyOnce) {
  Listener listener;
  MpExecutor executor({.cgroup_files = {.mounts = "/dev/null", .own = directory_.write("own", "0::/\n")}}, listener);
  for (const std::int64_t incarnation : {1, 2}) {
    Sink sink;
    ASSERT_TRUE(executor.launch(gang({shell(0, "exit 3"), shell(1, "exit 4")}, incarnation), sink));
    EXPECT_EQ(sink.wait_exits(2).at(1).front().value, 4);
  }
  ASSERT_TRUE(executor.close());
  EXPECT_THAT(listener.lines(), ElementsAre(::testing::Pair(LogLevel::debug,
                                                            "ranks have no cgroups of their own: cgroups of version 2 "
                                                            "are not mounted")));
}

TEST_F(MpExecutorTest, MakesNoCgroupsWhereToldNotTo) {
  Listener listener;
  MpExecutor executor({.cgroups = false}, listener);
  ASSERT_TRUE(executor.launch(gang({shell(0, "cat /proc/self/cgroup")}), sink_));
  sink_.wait_exits(1);
  EXPECT_THAT(directory_.read("log-0"), ::testing::Not(HasSubstr("weft-")));
  EXPECT_TRUE(listener.lines().empty());
}

TEST(CpuList, IsReadOrRefused) {
  EXPECT_THAT(*parse_cpu_list("0-2,8"), ElementsAre(0, 1, 2, 8));
  EXPECT_TRUE(parse_cpu_list("")->empty());
  for (const char* bad : {"a", "1-", "3-1", "1,", ",1", "-1", "1 2", "99999"})
    EXPECT_FALSE(parse_cpu_list(bad)) << bad;
}

}  // namespace
}  // namespace weft::mp
