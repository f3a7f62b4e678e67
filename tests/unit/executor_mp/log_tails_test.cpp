// "weft.executor.log_tail/1" of executor/mp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <condition_variable>
#include <fstream>
#include <mutex>

#include "plugins/executor_mp/mp_executor.h"
#include "tests/support/null_host.h"
#include "tests/support/temporary_directory.h"

namespace weft::mp {
namespace {

using ::testing::HasSubstr;

// Waits for exits.
class Exits final : public GangSink {
 public:
  void on_pending(const GangId&, std::string_view) override {}
  void on_placed(const GangId&, const std::vector<Placement>&) override {}
  void on_exit(const GangId&, std::int32_t, const Exit&) override {
    const std::lock_guard lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  bool wait(int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return count_ >= count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

class LogTailsTest : public ::testing::Test {
 protected:
  // One rank, 0, that runs the script and ends.
  void run(const std::string& id, std::int64_t incarnation, const std::string& script, const std::string& log) {
    const RankSpec rank{.rank = 0, .argv = {"/bin/sh", "-c", script}, .env = {}, .log_path = log};
    ASSERT_TRUE(executor_.launch({.gang = {id, incarnation}, .ranks = {rank}}, exits_));
    ASSERT_TRUE(exits_.wait(++launched_));
  }
  Result<std::string> tail(const std::string& id, std::int64_t incarnation, std::int32_t rank, std::int32_t lines) {
    auto* const tails = static_cast<ExecutorLogTail*>(executor_.query("weft.executor.log_tail/1"));
    if (tails == nullptr) return fail(ErrorCode::unimplemented, "no such interface");
    return tails->log_tail({id, incarnation}, rank, lines, Deadline::in(std::chrono::seconds(10)));
  }

  test::NullHost host_;
  test::TemporaryDirectory directory_;
  Exits exits_;
  int launched_ = 0;
  MpExecutor executor_{MpOptions{}, host_};
};

TEST_F(LogTailsTest, TheLastLinesAreThoseThatWereWrittenLast) {
  run("g", 1, "printf 'one\\ntwo\\n'; printf 'three\\n' >&2", directory_.file("log"));
  EXPECT_EQ(tail("g", 1, 0, 2).value(), "two\nthree");
  EXPECT_EQ(tail("g", 1, 0, 100).value(), "one\ntwo\nthree");
  ASSERT_TRUE(executor_.close());
  EXPECT_EQ(tail("g", 1, 0, 1).value(), "three") << "after close too";
}

TEST_F(LogTailsTest, ALongLogIsReadFromItsEndOnly) {
  run("g", 1, "head -c 300000 /dev/zero | tr '\\0' x; printf '\\nlast'", directory_.file("log"));
  EXPECT_EQ(tail("g", 1, 0, 1).value(), "last");
  EXPECT_EQ(tail("g", 1, 0, 2).value().size(), 65536u);
}

TEST_F(LogTailsTest, ARankThatWroteNothingHasAnEmptyLog) {
  run("g", 1, "exit 0", directory_.file("log"));
  EXPECT_EQ(tail("g", 1, 0, 5).value(), "");
}

TEST_F(LogTailsTest, WhatIsNotThereIsNotFound) {
  run("g", 1, "echo first", directory_.file("log"));
  for (const auto& missing : {tail("other", 1, 0, 1), tail("g", 2, 0, 1), tail("g", 1, 7, 1)}) {
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, ErrorCode::not_found) << missing.error().message;
  }
  EXPECT_EQ(tail("g", 1, 0, 0).error().code, ErrorCode::invalid_argument);
  run("g", 2, "echo again", directory_.file("log-2"));
  EXPECT_EQ(tail("g", 2, 0, 1).value(), "again");
  EXPECT_FALSE(tail("g", 1, 0, 1)) << "a gang that is launched again is a new one";
  run("silent", 1, "echo nobody hears it", "");
  EXPECT_THAT(tail("silent", 1, 0, 1).error().message, HasSubstr("its output is discarded"));
}

TEST_F(LogTailsTest, AFifoInTheLogsPlaceHoldsNobodyUp) {
  run("g", 1, "echo x", directory_.file("log"));
  ASSERT_EQ(::unlink(directory_.file("log").c_str()), 0);
  ASSERT_EQ(::mkfifo(directory_.file("log").c_str(), 0600), 0);
  EXPECT_THAT(tail("g", 1, 0, 1).error().message, HasSubstr("not a regular file"));
}

TEST(LogTails, OfEndedGangsTheLatestSixtyFourAreRemembered) {
  LogTails tails;
  const auto known = [&](const std::string& id) {
    const auto tail = tails.log_tail({id, 1}, 0, 1, Deadline::in(std::chrono::seconds(1)));
    return tail.error().message.find("its output is discarded") != std::string::npos;
  };
  const auto launch = [&](const std::string& id) { tails.launched({.gang = {id, 1}, .ranks = {{.rank = 0}}}); };
  launch("living");
  for (int i = 0; i < 100; ++i) {
    launch("g" + std::to_string(i));
    tails.ended({"g" + std::to_string(i), 1});
  }
  EXPECT_TRUE(known("living"));
  EXPECT_TRUE(known("g99"));
  EXPECT_TRUE(known("g36"));
  EXPECT_FALSE(known("g35"));
}

}  // namespace
}  // namespace weft::mp
