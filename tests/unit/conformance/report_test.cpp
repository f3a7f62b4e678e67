#include "tests/conformance/harness/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/temporary_directory.h"

namespace weft::conformance {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const std::vector<Case> two_cases = {
    {"EX-01", Level::must, "", "1", "a gang starts whole", "", nullptr},
    {"EX-02", Level::must, "cap:log_tails", "1", "a log | has its tail", "", nullptr},
};

class Report : public ::testing::Test {
 protected:
  Report() {
    run_.cases.push_back({.tested = &two_cases[0], .outcome = Outcome::pass, .seconds = 0.5});
    run_.cases.push_back({.tested = &two_cases[1],
                          .outcome = Outcome::fail,
                          .seconds = 0.25,
                          .message = "<no> \"tail\" & none\x01",
                          .output = "\xff not UTF-8",
                          .repeat = "weft-conformance --filter EX-02"});
    plugin_.kind = "executor";
    plugin_.name = "mine";
    plugin_.version = "1.2";
    plugin_.sha256 = "abc";
    plugin_.fingerprint = "pointer=8";
    plugin_.capabilities = {"log_tails", "node_drain"};
  }

  RunSpec spec_{.seed = 9};
  PluginInfo plugin_;
  RunResult run_;
};

TEST_F(Report, JsonHoldsPluginHostSeedAndEachCase) {
  const nlohmann::json report = report_json(spec_, plugin_, run_);
  EXPECT_EQ(report["suite"], "1");
  EXPECT_THAT(*report_markdown(report), HasSubstr("Suite version 1, level must: executor/mine 1.2"));
  EXPECT_EQ(report["plugin"]["sha256"], "abc");
  EXPECT_EQ(report["seed"], 9);
  EXPECT_GT(report["host"]["cpus"], 0);
  EXPECT_EQ(report["counts"]["PASS"], 1);
  EXPECT_EQ(report["cases"][1]["outcome"], "FAIL");
  EXPECT_EQ(report["cases"][1]["repeat"], "weft-conformance --filter EX-02");
}

TEST_F(Report, JunitIsXmlWhateverTheMessageHolds) {
  const std::string text = junit_xml(spec_, plugin_, run_);
  EXPECT_THAT(text, HasSubstr("tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\""));
  EXPECT_THAT(text, HasSubstr("&lt;no&gt; &quot;tail&quot; &amp; none?"));
  EXPECT_THAT(text, Not(HasSubstr("\xff")));
}

TEST_F(Report, OfAnInterruptedRunSaysSoEverywhere) {
  run_.interrupted = true;
  run_.cases[0].outcome = Outcome::not_run;
  EXPECT_THAT(junit_xml(spec_, plugin_, run_),
              AllOf(HasSubstr("tests=\"2\" failures=\"1\" errors=\"1\""), HasSubstr("<error type=\"NOT_RUN\"")));
  const nlohmann::json report = report_json(spec_, plugin_, run_);
  EXPECT_EQ(report["interrupted"], true);
  EXPECT_EQ(report["counts"]["NOT_RUN"], 1);
  EXPECT_THAT(*report_markdown(report), AllOf(HasSubstr("**The run was interrupted: 1 of 2 cases did not run.**"),
                                              HasSubstr("| EX-01 | NOT_RUN |")));
}

TEST_F(Report, MarkdownSetsWhatIsDeclaredBesideWhatIsProven) {
  const auto text = report_markdown(report_json(spec_, plugin_, run_));
  ASSERT_TRUE(text);
  EXPECT_THAT(*text, HasSubstr("| `log_tails` | 0 of 1 pass: EX-02 |"));
  EXPECT_THAT(*text, HasSubstr("| `node_drain` | no case of this run |"));
  EXPECT_THAT(*text, HasSubstr("| EX-02 | FAIL | a log \\| has its tail: <no>"));
}

TEST_F(Report, ACaseThatPutACapabilityToWorkIsItsProof) {
  plugin_.capabilities = {"bf16"};
  run_.cases[0].proven = {"bf16"};
  const auto text = report_markdown(report_json(spec_, plugin_, run_));
  ASSERT_TRUE(text);
  EXPECT_THAT(*text, HasSubstr("| `bf16` | 1 of 1 pass: EX-01 |"));
  run_.cases[0].outcome = Outcome::skip;
  EXPECT_THAT(*report_markdown(report_json(spec_, plugin_, run_)), HasSubstr("| `bf16` | no case of this run |"));
}

TEST_F(Report, AClaimIsWrittenWhereTheRunWasOfAList) {
  EXPECT_TRUE(report_json(spec_, plugin_, run_)["claim"].is_null());
  spec_.mustpass = MustPass{.version = "1", .ids = {"EX-01", "EX-02"}, .sha256 = "0123456789abcdef"};
  spec_.cases = {&two_cases[0], &two_cases[1]};
  EXPECT_EQ(report_json(spec_, plugin_, run_)["claim"]["holds"], false);
  run_.cases[1].outcome = Outcome::xfail;
  const nlohmann::json report = report_json(spec_, plugin_, run_);
  EXPECT_EQ(report["claim"]["holds"], true);
  EXPECT_EQ(report["claim"]["version"], "1");
  EXPECT_EQ(report["claim"]["list_sha256"], "0123456789abcdef");
  EXPECT_THAT(*report_markdown(report),
              HasSubstr("Suite version 1 is claimed: 1 rules hold, 0 do not apply, 1 waived (list 0123456789ab)."));
}

TEST_F(Report, APageIsRewrittenBetweenItsMarkers) {
  const test::TemporaryDirectory directory;
  ASSERT_TRUE(prepare_reports(directory.path() + "/out"));
  ASSERT_TRUE(write_reports(directory.path() + "/out", spec_, plugin_, run_));
  const std::string page = directory.write("p.md", "above\n<!-- conformance -->\nold\n<!-- /conformance -->\nbelow\n");
  for (int again = 0; again < 2; ++again)
    ASSERT_TRUE(write_page(page, directory.path() + "/out/report.json"));
  const std::string text = directory.read("p.md");
  EXPECT_THAT(text, HasSubstr("above\n<!-- conformance -->\nSuite version 1"));
  EXPECT_THAT(text, HasSubstr("<!-- /conformance -->\nbelow\n"));
  EXPECT_THAT(text, Not(HasSubstr("old")));
}

TEST_F(Report, APageWithoutMarkersAndAFileThatIsNoReportAreRefused) {
  const test::TemporaryDirectory directory;
  ASSERT_TRUE(write_reports(directory.path(), spec_, plugin_, run_));
  const std::string plain = directory.write("p.md", "nothing\n");
  EXPECT_THAT(write_page(plain, directory.file("report.json")).error().message, HasSubstr("<!-- conformance -->"));
  EXPECT_EQ(write_page(plain, plain).error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace weft::conformance
