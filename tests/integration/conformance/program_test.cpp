// weft-conformance as an author meets it: exit codes, what it prints, what it leaves.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/temporary_directory.h"

namespace weft {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

const std::string good = WEFT_BUILD_DIR "/lib/weft/plugins/libweft-load_balancer-round_robin.so";
const std::string mutant = WEFT_BUILD_DIR "/tests/mutants/plugin/libweft-load_balancer-mutant.so";
const std::string mustpass = WEFT_SOURCE_DIR "/tests/conformance/mustpass/v1.txt";

struct Ended {
  int code = -1;
  std::string printed;  // both streams
};

class Program : public ::testing::Test {
 protected:
  // `before`: assignments to the environment.
  Ended run(const std::string& arguments, const std::string& before = "env -u WEFT_MUTANT") {
    const std::string log = directory_.file("log");
    const std::string command = fmt::format("{} {} {} > {} 2>&1", before, WEFT_CONFORMANCE_PROGRAM, arguments, log);
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, directory_.read("log")};
  }
  nlohmann::json report(const std::string& folder) {
    return nlohmann::json::parse(directory_.read(folder + "/report.json"), nullptr, false);
  }

  test::TemporaryDirectory directory_;
};

TEST_F(Program, AGoodPluginPassesAndLeavesThreeReports) {
  const Ended ended = run(fmt::format("--plugin {} --filter 'PL-0?' --out {}", good, directory_.file("out")));
  EXPECT_EQ(ended.code, 0) << ended.printed;
  EXPECT_THAT(ended.printed, HasSubstr("9 cases: 9 PASS (seed "));
  EXPECT_EQ(report("out")["counts"]["PASS"], 9);
  EXPECT_THAT(directory_.read("out/junit.xml"), HasSubstr("tests=\"9\" failures=\"0\""));
  EXPECT_THAT(directory_.read("out/report.md"), HasSubstr("| PL-01 | PASS |"));
}

TEST_F(Program, ReportsThatCannotBeWrittenAreRefusedBeforeAnyCaseRuns) {
  directory_.write("file", "");
  const Ended no_directory = run(fmt::format("--plugin {} --filter PL-01 --out {}", good, directory_.file("file")));
  EXPECT_EQ(no_directory.code, 2);
  EXPECT_THAT(no_directory.printed, HasSubstr(fmt::format("--out {}: ", directory_.file("file"))));
  EXPECT_THAT(no_directory.printed, HasSubstr("expected a directory that report.json, junit.xml, report.md can be"));
  EXPECT_THAT(no_directory.printed, Not(HasSubstr("PL-01")));
  fs::create_directories(directory_.file("out/junit.xml"));
  const Ended in_the_way = run(fmt::format("--plugin {} --filter PL-01 --out {}", good, directory_.file("out")));
  EXPECT_EQ(in_the_way.code, 2);
  EXPECT_THAT(in_the_way.printed, HasSubstr("out/junit.xml: Is a directory"));
  EXPECT_THAT(in_the_way.printed, Not(HasSubstr("PL-01")));
  EXPECT_FALSE(fs::exists(directory_.file("out/report.json")));
}

TEST_F(Program, WhatAnEarlierRunLeftStaysUntilThereAreResults) {
  fs::create_directories(directory_.file("out"));
  directory_.write("out/report.md", "earlier");
  const Ended refused = run(fmt::format(
      "--plugin {} --out {}", directory_.write("libweft-executor-text.so", "no library"), directory_.file("out")));
  EXPECT_EQ(refused.code, 4);
  EXPECT_EQ(directory_.read("out/report.md"), "earlier");
}

TEST_F(Program, KindAndNameAreFoundAsWeftFindsThem) {
  EXPECT_EQ(run("--plugin load_balancer/round_robin --filter PL-01").code, 0);
  const Ended there = run(fmt::format("--plugin load_balancer/mutant --plugin-dir {} --filter PL-01",
                                      fs::path(mutant).parent_path().string()));
  EXPECT_EQ(there.code, 0) << there.printed;
  const Ended none = run("--plugin load_balancer/none");
  EXPECT_EQ(none.code, 2);
  EXPECT_THAT(none.printed, HasSubstr("no libweft-load_balancer-none.so in"));
}

TEST_F(Program, AFailingLineEndsWithTheCommandThatRepeatsIt) {
  const Ended ended = run(fmt::format("--plugin {} --filter PL-54,PL-01 --seed 5", mutant), "WEFT_MUTANT=changes_cwd");
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.printed, HasSubstr("PASS    PL-01"));
  EXPECT_THAT(ended.printed, HasSubstr("FAIL    PL-54"));
  EXPECT_THAT(ended.printed, HasSubstr(fmt::format("; again with: {} --plugin {} --filter PL-54 --seed 5\n",
                                                   fs::canonical(WEFT_CONFORMANCE_PROGRAM).string(), mutant)));
}

TEST_F(Program, TheCommandThatRepeatsACaseDoesSoWhateverItsPathsHold) {
  const fs::path folder = directory_.file("it's a folder");
  fs::create_directories(folder);
  const fs::path copy = folder / fs::path(mutant).filename();
  fs::copy_file(mutant, copy);
  const std::string profile = directory_.write("my profile.toml", "[limits]\nspread = 2\n");
  const Ended first = run(fmt::format("--plugin \"{}\" --profile \"{}\" --filter PL-54", copy.string(), profile),
                          "WEFT_MUTANT=changes_cwd");
  EXPECT_EQ(first.code, 1) << first.printed;
  const std::string mark = "; again with: ";
  const std::size_t at = first.printed.find(mark);
  ASSERT_NE(at, std::string::npos) << first.printed;
  const std::string again = first.printed.substr(at + mark.size(), first.printed.find('\n', at) - at - mark.size());
  directory_.write("again", "WEFT_MUTANT=changes_cwd " + again + "\n");
  const int status =
      std::system(fmt::format("sh {} > {} 2>&1", directory_.file("again"), directory_.file("log")).c_str());
  EXPECT_EQ(WEXITSTATUS(status), 1);
  EXPECT_THAT(directory_.read("log"), HasSubstr("FAIL    PL-54")) << again;
}

TEST_F(Program, AChangedEnvironmentIsToldByNamesAndNoValueIsShown) {
  const Ended ended = run(fmt::format("--plugin {} --filter PL-55 --out {}", mutant, directory_.file("out")),
                          "env -i A_TOKEN=hunter2 PATH=\"$PATH\" WEFT_MUTANT=changes_env");
  EXPECT_EQ(ended.code, 1) << ended.printed;
  EXPECT_THAT(ended.printed, HasSubstr("create changed it: added WEFT_MUTANT_WAS_HERE; again with"));
  for (const char* file : {"log", "out/junit.xml", "out/report.json", "out/report.md"})
    EXPECT_THAT(directory_.read(file), Not(HasSubstr("hunter2"))) << file;
}

TEST_F(Program, AWaiverForNoCaseIsAMistake) {
  const std::string profile = directory_.write(
      "p.toml", "[[waiver]]\ncase = \"PL-5400\"\nreason = \"r\"\nlink = \"l\"\nexpires = 9999-01-01\n");
  const Ended ended = run(fmt::format("--plugin {} --filter PL-54 --profile {}", good, profile));
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.printed, HasSubstr("[[waiver]] for PL-5400: there is no such case"));
}

TEST_F(Program, OptionsThatThePluginDoesNotTakeAreOneRefusalBeforeAnyCaseRuns) {
  const std::string plugin = WEFT_BUILD_DIR "/lib/weft/plugins/libweft-executor-mp.so";
  const std::string profile = directory_.write("p.toml", "[config]\nbind = 3\nnode_nam = \"here\"\n");
  const Ended declared = run(fmt::format("--plugin {} --profile {}", plugin, profile));
  EXPECT_EQ(declared.code, 2);
  EXPECT_THAT(declared.printed, HasSubstr(fmt::format("{}:2:8: [config] 'bind': ", profile)));
  EXPECT_THAT(declared.printed,
              HasSubstr(fmt::format("{}:3:12: [config] unknown key 'node_nam'; did you mean 'node_name'?", profile)));
  EXPECT_THAT(declared.printed, Not(HasSubstr("EX-")));
  // What only create can tell.
  const std::string other = directory_.write("q.toml", "[config]\ncpus = \"some\"\n");
  const Ended created = run(fmt::format("--plugin {} --profile {}", plugin, other));
  EXPECT_EQ(created.code, 2);
  EXPECT_THAT(created.printed,
              AllOf(HasSubstr(fmt::format("{}: [config] cpus: ", other)), HasSubstr("CPU list 'some': expected ")));
  EXPECT_THAT(created.printed, Not(HasSubstr("EX-")));
}

TEST_F(Program, MistakesAreUsage) {
  EXPECT_EQ(run("").code, 2);
  EXPECT_EQ(run("--plugin x --level most").code, 2);
  EXPECT_EQ(run("--plugin /nowhere/libweft-executor-x.so").code, 2);
  EXPECT_EQ(run(fmt::format("--plugin {} --filter ZZ-99", good)).code, 2);
  EXPECT_EQ(run(fmt::format("--plugin {} --profile {}", good, directory_.file("none.toml"))).code, 2);
  const std::string profile = directory_.write("p.toml", "[plugin]\nkind = \"device\"\n");
  EXPECT_THAT(run(fmt::format("--plugin {} --profile {}", good, profile)).printed,
              HasSubstr("for plugins of kind device"));
}

TEST_F(Program, AnEmptyValueIsAMistakeAndNotTheDefault) {
  for (const char* option : {"--filter", "--out", "--profile", "--mustpass", "--plugin-dir"}) {
    const Ended ended = run(fmt::format("--plugin {} {} ''", good, option));
    EXPECT_EQ(ended.code, 2) << option;
    EXPECT_THAT(ended.printed, AllOf(HasSubstr(option), HasSubstr("it is empty; give it a value"))) << option;
  }
}

TEST_F(Program, ASeedIsAWholeNumber) {
  for (const char* seed : {"-1", "0x7", "1.5", "''", "18446744073709551616"}) {
    const Ended ended = run(fmt::format("--plugin {} --filter PL-01 --seed {}", good, seed));
    EXPECT_EQ(ended.code, 2) << seed;
    EXPECT_THAT(ended.printed, HasSubstr("--seed")) << seed;
  }
  const Ended most = run(fmt::format("--plugin {} --filter PL-01 --seed 18446744073709551615", good));
  EXPECT_EQ(most.code, 0) << most.printed;
  EXPECT_THAT(most.printed, HasSubstr("(seed 18446744073709551615)"));
}

TEST_F(Program, WhatIsNoFileIsNoPlugin) {
  const std::string fifo = directory_.file("libweft-executor-fifo.so");
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const Ended pipe = run("--plugin " + fifo);
  EXPECT_EQ(pipe.code, 2);
  EXPECT_THAT(pipe.printed, HasSubstr(fifo + ": not a regular file; expected a shared library"));
  const Ended folder = run("--plugin " + directory_.path());
  EXPECT_EQ(folder.code, 2);
  EXPECT_THAT(folder.printed, HasSubstr(directory_.path() + ": a directory; expected a shared library"));
}

TEST_F(Program, WhatTheLoaderRefusesIsRefused) {
  const std::string file = directory_.write("libweft-executor-text.so", "no library\n");
  const Ended ended = run("--plugin " + file);
  EXPECT_EQ(ended.code, 4);
  EXPECT_THAT(ended.printed, HasSubstr("stage 'symbol'"));
}

TEST_F(Program, SetUpAndTearDownStandAroundTheRun) {
  const std::string profile = directory_.write("p.toml", R"([setup]
command = ["touch", "was-up"]
[teardown]
command = ["touch", "was-down"]
)");
  const std::string command = fmt::format("--plugin {} --filter PL-54 --profile {}", mutant, profile);
  EXPECT_EQ(run(command, "WEFT_MUTANT=changes_cwd").code, 1);
  EXPECT_TRUE(fs::exists(directory_.file("was-up")));
  EXPECT_TRUE(fs::exists(directory_.file("was-down")));
  const std::string broken = directory_.write("q.toml", R"([setup]
command = ["false"]
[teardown]
command = ["touch", "down-again"]
)");
  const Ended ended = run(fmt::format("--plugin {} --profile {}", good, broken));
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.printed, HasSubstr("set-up: 'false' failed (exit code 1)"));
  EXPECT_TRUE(fs::exists(directory_.file("down-again")));
}

// Set-up and tear-down are the places where a test knows that the run is on.
TEST_F(Program, AnInterruptedRunSaysHowManyCasesDidNotRunInEveryReportAndFails) {
  const std::string profile = directory_.write("p.toml", R"([setup]
command = ["sh", "-c", "kill -INT $PPID"]
[teardown]
command = ["sh", "-c", "touch was-down; kill -TERM $PPID"]
)");
  const Ended ended =
      run(fmt::format("--plugin {} --filter 'PL-0?' --profile {} --out {}", good, profile, directory_.file("out")));
  EXPECT_EQ(ended.code, 130) << ended.printed;
  EXPECT_THAT(ended.printed, HasSubstr("9 cases: 9 NOT_RUN"));
  EXPECT_THAT(ended.printed, HasSubstr("interrupted: 9 of 9 cases did not run"));
  EXPECT_EQ(report("out")["counts"]["NOT_RUN"], 9);
  EXPECT_THAT(directory_.read("out/junit.xml"), HasSubstr("errors=\"9\""));
  EXPECT_THAT(directory_.read("out/report.md"), HasSubstr("9 of 9 cases did not run"));
  EXPECT_TRUE(fs::exists(directory_.file("was-down")));
}

TEST_F(Program, AWaiverLetsACaseFailUntilItExpires) {
  const std::string form = R"([[waiver]]
case = "PL-54"
reason = "known"
link = "https://example.org"
expires = {}
)";
  const std::string holds = directory_.write("p.toml", fmt::format(fmt::runtime(form), "9999-01-01"));
  const std::string over = directory_.write("q.toml", fmt::format(fmt::runtime(form), "2020-01-01"));
  const std::string command = fmt::format("--plugin {} --filter PL-54 --profile ", mutant);
  EXPECT_EQ(run(command + holds, "WEFT_MUTANT=changes_cwd").code, 0);
  EXPECT_EQ(run(command + holds).code, 1);
  const Ended expired = run(command + over, "WEFT_MUTANT=changes_cwd");
  EXPECT_EQ(expired.code, 1);
  EXPECT_THAT(expired.printed, HasSubstr("expired on 2020-01-01 and counts no more"));
}

TEST_F(Program, TheMustPassListIsClaimedOnlyWhereAllOfItHolds) {
  const std::string list = directory_.write("v1.txt", "PL-01\nPL-54  # a comment\n");
  const Ended good_one = run(fmt::format("--plugin {} --mustpass {}", good, list));
  EXPECT_EQ(good_one.code, 0);
  EXPECT_THAT(good_one.printed, HasSubstr("suite version 1: claimed: 2 rules hold, 0 do not apply, 0 waived\n"));
  const Ended bad = run(fmt::format("--plugin {} --mustpass {}", mutant, list), "WEFT_MUTANT=changes_cwd");
  EXPECT_EQ(bad.code, 1);
  EXPECT_THAT(bad.printed, HasSubstr("suite version 1: not claimed: of 2 rules 1 hold"));
  const Ended part = run(fmt::format("--plugin {} --mustpass {} --filter PL-01", good, list));
  EXPECT_EQ(part.code, 2);
  EXPECT_THAT(part.printed, HasSubstr("leave --filter out"));
  EXPECT_EQ(run(fmt::format("--plugin {} --mustpass {} --list", good, mustpass)).code, 0);
}

TEST_F(Program, APageTakesAReport) {
  ASSERT_EQ(run(fmt::format("--plugin {} --filter PL-01 --out {}", good, directory_.file("out"))).code, 0);
  const std::string page = directory_.write("page.md", "<!-- conformance -->\n<!-- /conformance -->\n");
  EXPECT_EQ(run(fmt::format("--page {} --report {}", page, directory_.file("out/report.json"))).code, 0);
  EXPECT_THAT(directory_.read("page.md"), HasSubstr("| PL-01 | PASS |"));
}

TEST_F(Program, APageTakesNothingButAReport) {
  const std::string page = directory_.write("page.md", "<!-- conformance -->\n<!-- /conformance -->\n");
  const std::vector<std::pair<std::string, std::string>> bad = {{"not json", "not JSON"},
                                                                {"[]", "JSON, and no object"},
                                                                {"{}", "key 'plugin' not found"},
                                                                {R"({"plugin": 1})", "number"}};
  for (const auto& [text, said] : bad) {
    const Ended ended = run(fmt::format("--page {} --report {}", page, directory_.write("bad.json", text)));
    EXPECT_EQ(ended.code, 2) << text;
    EXPECT_THAT(ended.printed, AllOf(HasSubstr(directory_.file("bad.json") + ": "), HasSubstr(said),
                                     HasSubstr("; expected a report.json that"), Not(HasSubstr("json.exception"))));
  }
  EXPECT_EQ(directory_.read("page.md"), "<!-- conformance -->\n<!-- /conformance -->\n");
}

TEST_F(Program, ListSaysEveryRuleWithoutAPlugin) {
  const Ended ended = run("--list");
  EXPECT_EQ(ended.code, 0);
  EXPECT_THAT(ended.printed, HasSubstr("PL-01  must"));
  EXPECT_THAT(ended.printed, Not(HasSubstr("PASS")));
}

}  // namespace
}  // namespace weft
