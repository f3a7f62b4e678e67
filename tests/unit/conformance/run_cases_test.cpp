// What comes out of cases that pass, fail, crash, hang and leave processes behind.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/conformance/harness/arguments.h"
#include "tests/conformance/harness/context.h"
#include "tests/conformance/harness/run_cases.h"
#include "tests/support/temporary_directory.h"

namespace weft::conformance {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string stray_file;  // where a case writes its stray's number, or counts its tries

pid_t runner = 0;  // this process

void passes(Context& context) { context.note("a remark"); }
void fails(Context& context) { context.fail("1 is not 2"); }
void puts_to_work(Context& context) {
  context.proves("bf16");
  context.proves("bf16");
}
void notes_ignored_signals(Context& context) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("SigIgn:")) context.note(line);
}
void skips(Context& context) { context.skip("no such machine"); }
void throws(Context&) { throw std::runtime_error("boo"); }
void throws_a_number(Context&) { throw 3; }
void crashes(Context&) {
  std::fputs("last words\n", stderr);
  ::signal(SIGSEGV, SIG_DFL);  // past a sanitizer's handler
  ::raise(SIGSEGV);
}
void exits(Context&) { ::_exit(3); }
void hangs(Context&) {
  while (true)
    ::pause();
}
void interrupts_the_run(Context& context) {
  ::kill(runner, SIGTERM);
  hangs(context);
}
void leaves_process(Context& context) {
  const pid_t stray = ::fork();
  if (stray == 0) {
    ::setsid();  // out of every group that the harness could know
    hangs(context);
  }
  std::ofstream(stray_file) << stray;
}
void passes_at_the_third(Context&) {
  int tries = 0;
  std::ifstream(stray_file) >> tries;
  std::ofstream(stray_file) << tries + 1;
  if (tries < 2) throw Ended{.skipped = false, .message = "not yet"};
}
void fails_in_a_thread(Context& context) {
  std::atomic<int> ran{0};
  context.run_threads(4, [&](int index) {
    ++ran;
    context.expect(index != 2, "thread 2 says no");
  });
}
void waits_in_vain(Context& context) {
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  context.wait_until(
      lock, never, [] { return false; }, std::chrono::hours(1), "it never came");
}
void draws(Context& context) { context.note(std::to_string(context.random()())); }
void writes_much(Context& context) {
  const std::string line(1000, 'x');
  for (int index = 0; index < 1000; ++index)
    std::puts(line.c_str());
  std::puts("the last line");
  context.fail("see above");
}

class RunCases : public ::testing::Test {
 protected:
  CaseResult run_one(void (*body)(Context&), std::chrono::seconds limit = std::chrono::seconds(60)) {
    cases_ = {{"ZZ-01", Level::must, "", "1", "a case", "because", body, limit}};
    spec_.cases = {&cases_[0]};
    const auto run = run_cases(spec_);
    EXPECT_TRUE(run);
    if (!run || run->cases.size() != 1) return {};
    return run->cases[0];
  }

  void SetUp() override { stray_file = directory_.file("stray"); }

  test::TemporaryDirectory directory_;
  std::vector<Case> cases_;
  RunSpec spec_{.plugin_file = "/nowhere/libweft-executor-none.so", .program = "weft-conformance", .seed = 7};
};

TEST_F(RunCases, APassKeepsItsNotes) {
  const CaseResult result = run_one(passes);
  EXPECT_EQ(result.outcome, Outcome::pass);
  EXPECT_THAT(result.notes, ElementsAre("a remark"));
}

TEST_F(RunCases, AFailureSaysWhyAndHowToRepeatIt) {
  const CaseResult result = run_one(fails);
  EXPECT_EQ(result.outcome, Outcome::fail);
  EXPECT_EQ(result.message, "1 is not 2");
  EXPECT_EQ(result.repeat, "weft-conformance --plugin /nowhere/libweft-executor-none.so --filter ZZ-01 --seed 7");
}

TEST_F(RunCases, TheCommandToRepeatIsQuotedForAShell) {
  spec_.plugin_file = "/a b/it's.so";
  spec_.profile.path = "/plain/p.toml";
  EXPECT_EQ(run_one(fails).repeat,
            "weft-conformance --plugin '/a b/it'\\''s.so' --profile /plain/p.toml --filter ZZ-01 --seed 7");
}

TEST_F(RunCases, WhatACaseProvesIsItsResults) {
  EXPECT_THAT(run_one(puts_to_work).proven, ElementsAre("bf16"));
  EXPECT_THAT(run_one(passes).proven, ElementsAre());
}

// As a process is that system() started: glibc has it ignore the two signals that it keeps for itself.
TEST_F(RunCases, ACaseIgnoresNoSignalButPipesWhateverItsParentDid) {
  struct {
    void (*handler)(int) = SIG_IGN;
    unsigned long flags = 0, restorer = 0, mask = 0;
  } ignored, before;
  ASSERT_EQ(::syscall(SYS_rt_sigaction, 32, &ignored, &before, sizeof ignored.mask), 0);
  const CaseResult result = run_one(notes_ignored_signals);
  ::syscall(SYS_rt_sigaction, 32, &before, nullptr, sizeof before.mask);
  EXPECT_THAT(result.notes, ElementsAre("SigIgn:\t0000000000001000"));  // SIGPIPE
}

TEST_F(RunCases, ASkipSaysWhy) {
  const CaseResult result = run_one(skips);
  EXPECT_EQ(result.outcome, Outcome::skip);
  EXPECT_EQ(result.message, "no such machine");
}

TEST_F(RunCases, AnExceptionIsAFailure) {
  EXPECT_EQ(run_one(throws).outcome, Outcome::fail);
  EXPECT_EQ(run_one(throws).message,
            "an exception left the case (std::runtime_error: boo), expected an error as a value: where a call of the "
            "plugin threw it, catch it there and return weft::fail(...)");
  EXPECT_THAT(run_one(throws_a_number).message, HasSubstr("an exception left the case (int), expected"));
}

TEST_F(RunCases, ACrashNamesTheSignalAndKeepsTheLastWords) {
  const CaseResult result = run_one(crashes);
  EXPECT_EQ(result.outcome, Outcome::crash);
  EXPECT_THAT(result.message, HasSubstr("signal 11"));
  EXPECT_THAT(result.output, HasSubstr("last words"));
}

TEST_F(RunCases, AProcessThatEndsItselfIsACrash) {
  const CaseResult result = run_one(exits);
  EXPECT_EQ(result.outcome, Outcome::crash);
  EXPECT_THAT(result.message, HasSubstr("exit code 3"));
}

TEST_F(RunCases, ACaseThatHangsIsStoppedAtItsDeadline) {
  EXPECT_EQ(run_one(hangs, std::chrono::seconds(1)).outcome, Outcome::timeout);
}

TEST_F(RunCases, TheProfilesScaleStretchesTheDeadline) {
  spec_.profile.limits["time_scale"] = 0.1;
  const CaseResult result = run_one(hangs, std::chrono::seconds(2));
  EXPECT_EQ(result.outcome, Outcome::timeout);
  EXPECT_THAT(result.message, HasSubstr("200 ms"));
}

TEST_F(RunCases, AWaitEndsBeforeTheDeadlineAndSaysForWhat) {
  const CaseResult result = run_one(waits_in_vain, std::chrono::seconds(2));
  EXPECT_EQ(result.outcome, Outcome::fail);
  EXPECT_EQ(result.message, "it never came");
}

TEST_F(RunCases, AProcessLeftBehindIsEndedAndNoted) {
  const CaseResult result = run_one(leaves_process);
  EXPECT_EQ(result.outcome, Outcome::pass);
  ASSERT_EQ(result.notes.size(), 1u);
  EXPECT_THAT(result.notes[0], HasSubstr("left 1 processes behind"));
  pid_t stray = 0;
  std::ifstream(stray_file) >> stray;
  ASSERT_GT(stray, 0);
  EXPECT_NE(::kill(stray, 0), 0);
}

TEST_F(RunCases, AFailureInAThreadIsTheCases) { EXPECT_EQ(run_one(fails_in_a_thread).message, "thread 2 says no"); }

TEST_F(RunCases, ACaseThatPassesWhenTriedAgainIsAFlake) {
  spec_.retries = 3;
  const CaseResult result = run_one(passes_at_the_third);
  EXPECT_EQ(result.outcome, Outcome::flake);
  EXPECT_EQ(result.attempts, 3);
  EXPECT_THAT(result.message, HasSubstr("not yet"));
  EXPECT_FALSE(is_good(result.outcome));
}

TEST_F(RunCases, AWaivedFailureIsExpectedAndAWaivedPassIsNot) {
  spec_.profile.waivers.push_back({.case_id = "ZZ-01", .reason = "why", .link = "where", .expires = "9999-01-01"});
  EXPECT_EQ(run_one(fails).outcome, Outcome::xfail);
  EXPECT_EQ(run_one(crashes).outcome, Outcome::xfail);
  EXPECT_EQ(run_one(passes).outcome, Outcome::xpass);
  EXPECT_EQ(run_one(skips).outcome, Outcome::skip);
  spec_.profile.waivers[0].expires = "2020-01-01";
  EXPECT_EQ(run_one(fails).outcome, Outcome::fail);
}

TEST_F(RunCases, TheSameSeedDrawsTheSame) {
  const CaseResult first = run_one(draws);
  EXPECT_EQ(run_one(draws).notes, first.notes);
  spec_.seed = 8;
  EXPECT_NE(run_one(draws).notes, first.notes);
}

TEST_F(RunCases, OutputIsBoundedToItsEnd) {
  const CaseResult result = run_one(writes_much);
  EXPECT_EQ(result.outcome, Outcome::fail);
  EXPECT_LT(result.output.size(), 100'000u);
  EXPECT_THAT(result.output, HasSubstr("the last line"));
}

TEST_F(RunCases, ManyAtOnceComeOutInTheTablesOrder) {
  static const char* const ids[] = {"ZZ-01", "ZZ-02", "ZZ-03", "ZZ-04", "ZZ-05", "ZZ-06"};
  for (const char* id : ids)
    cases_.push_back({id, Level::must, "", "1", "a case", "because", id == ids[2] ? fails : passes});
  for (const Case& one : cases_)
    spec_.cases.push_back(&one);
  spec_.jobs = 4;
  const auto run = run_cases(spec_);
  ASSERT_TRUE(run);
  ASSERT_EQ(run->cases.size(), 6u);
  for (std::size_t index = 0; index < 6; ++index) {
    EXPECT_STREQ(run->cases[index].tested->id, ids[index]);
    EXPECT_EQ(run->cases[index].outcome, index == 2 ? Outcome::fail : Outcome::pass);
  }
}

TEST_F(RunCases, AnInterruptEndsTheRunAndNamesTheCasesThatDidNotRun) {
  runner = ::getpid();
  cases_ = {{"ZZ-01", Level::must, "", "1", "a case", "because", passes},
            {"ZZ-02", Level::must, "", "1", "a case", "because", interrupts_the_run},
            {"ZZ-03", Level::must, "", "1", "a case", "because", passes}};
  for (const Case& one : cases_)
    spec_.cases.push_back(&one);
  const auto run = run_cases(spec_);
  ASSERT_TRUE(run);
  EXPECT_TRUE(run->interrupted);
  EXPECT_EQ(run->not_run(), 2);
  ASSERT_EQ(run->cases.size(), 3U);
  EXPECT_EQ(run->cases[0].outcome, Outcome::pass);
  EXPECT_EQ(run->cases[1].outcome, Outcome::not_run);
  EXPECT_EQ(run->cases[1].message, "the run was interrupted in the midst of it");
  EXPECT_EQ(run->cases[2].outcome, Outcome::not_run);
  EXPECT_EQ(run->cases[2].message, "the run was interrupted before it");
  EXPECT_THAT(run->cases[2].repeat, HasSubstr("--filter ZZ-03"));
}

TEST(RunCommand, SaysHowItFailed) {
  EXPECT_TRUE(run_command({}, "", std::chrono::seconds(30)));
  EXPECT_TRUE(run_command({"true"}, "/", std::chrono::seconds(30)));
  EXPECT_THAT(run_command({"sh", "-c", "exit 3"}, "", std::chrono::seconds(30)).error().message,
              HasSubstr("exit code 3"));
  EXPECT_THAT(run_command({"no-such-program"}, "", std::chrono::seconds(30)).error().message,
              HasSubstr("exit code 127"));
  EXPECT_EQ(run_command({"sleep", "1000"}, "", std::chrono::milliseconds(50)).error().code,
            ErrorCode::deadline_exceeded);
}

}  // namespace
}  // namespace weft::conformance
