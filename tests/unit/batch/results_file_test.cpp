// The output and its sidecar: whose it is, what is done, what was torn, and what cannot be written.
#include "frontend/batch/results_file.h"

#include <sys/resource.h>
#include <unistd.h>

#include <csignal>

#include "frontend/batch/result_line.h"
#include "tests/unit/batch/batch_fixture.h"

namespace weft::frontend {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class ResultsFileTest : public test::BatchTest {
 protected:
  void SetUp() override {
    write_input("{}\n{}\n\n{}\n{}\n");  // requests on lines 1, 2, 4, 5
    input_ = InputFile::scan(path("in.jsonl")).value();
  }
  std::string path(const std::string& name) const { return directory_.file(name); }
  Result<std::unique_ptr<ResultsFile>> open(const std::string& model = "model 1") {
    return ResultsFile::open(path("out.jsonl"), {.input_hash = input_.hash, .model = model}, input_);
  }
  std::string error(const std::string& model = "model 1") {
    const auto results = open(model);
    return results ? "opened" : results.error().message;
  }
  // What an earlier run left.
  void leave(const std::string& output) {
    std::filesystem::remove(path("out.jsonl"));
    ASSERT_TRUE(open());
    directory_.write("out.jsonl", output);
  }
  static std::string result(std::int64_t line) { return answer_line(line, "c", {}); }

  InputFile input_;
};

TEST_F(ResultsFileTest, AnEarlierRunsResultsAreDone) {
  {
    const auto first = open().value();
    ASSERT_TRUE(first->append(result(4)));
    ASSERT_TRUE(first->append(result(1)));
    ASSERT_TRUE(first->sync());
  }
  const auto second = open().value();
  EXPECT_EQ(second->done_count(), 2);
  EXPECT_TRUE(second->done()[1] && second->done()[4]);
  EXPECT_FALSE(second->done()[2] || second->done()[5]);
}

TEST_F(ResultsFileTest, ATornLastLineIsCutOff) {
  for (const std::string& torn : {result(2).substr(0, 20), result(2).substr(0, result(2).size() - 1),
                                  std::string("{\"id\n"), std::string(50, '\0'), std::string(50, '\0') + "\n"}) {
    leave(result(1) + torn);
    const auto results = open();
    ASSERT_TRUE(results) << results.error().message;
    EXPECT_EQ((*results)->done_count(), 1);
    EXPECT_EQ(output(), result(1));
    ASSERT_TRUE((*results)->append(result(2)));
    EXPECT_EQ(output(), result(1) + result(2));
  }
}

TEST_F(ResultsFileTest, ADamagedLineInTheMiddleIsAnError) {
  leave(result(1) + "{\"id\n" + result(2));
  EXPECT_THAT(error(), AllOf(HasSubstr("out.jsonl:2: "), HasSubstr("choose another output")));
}

TEST_F(ResultsFileTest, AnIdThatIsThereTwiceOrNoRequestsIsAnError) {
  leave(result(1) + result(2) + result(1));
  EXPECT_THAT(error(), HasSubstr("out.jsonl:3: the id weft-1 is there twice"));
  for (const std::int64_t line : {0, 3, 6, -4}) {
    leave(result(line));
    EXPECT_THAT(error(), HasSubstr("is no request's of the input")) << line;
  }
}

TEST_F(ResultsFileTest, AnotherRunsOutputIsRefusedAndSaysWhichPartDiffers) {
  leave(result(1));
  EXPECT_THAT(error("model 2"),
              AllOf(HasSubstr("'model 1', now 'model 2'"), HasSubstr("choose another output, or remove")));
  write_input("{}\n{}\n\n{}\n{} \n");
  input_ = InputFile::scan(path("in.jsonl")).value();
  EXPECT_THAT(error(), AllOf(HasSubstr("the answers to another input"), HasSubstr(input_.hash)));
  EXPECT_EQ(open().error().code, ErrorCode::already_exists);
}

TEST_F(ResultsFileTest, AFileWithoutASidecarIsNobodysOutput) {
  directory_.write("out.jsonl", "my notes\n");
  EXPECT_THAT(error(), AllOf(HasSubstr("is not an output of `weft run`"), HasSubstr("out.jsonl.weft-run")));
  EXPECT_EQ(output(), "my notes\n");
}

TEST_F(ResultsFileTest, AnEmptyFileOfAnyOriginIsTaken) {
  directory_.write("out.jsonl", "");
  EXPECT_EQ(error(), "opened");
  EXPECT_EQ(error("model 2"), "opened");
  EXPECT_EQ(read_sidecar(path("out.jsonl"))->model, "model 2");
}

TEST_F(ResultsFileTest, ADamagedSidecarIsRefused) {
  for (const char* damaged :
       {"", "{", "[]", R"({"version": 2, "input": "", "model": ""})", R"({"version": 1, "input": 4})"}) {
    leave(result(1));
    directory_.write("out.jsonl.weft-run", damaged);
    EXPECT_THAT(error(), HasSubstr("not a file that `weft run` of this version wrote")) << damaged;
  }
}

TEST_F(ResultsFileTest, TwoRunsAtOnceOnOneOutputAreOne) {
  const auto first = open().value();
  const auto second = open();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::already_exists);
  EXPECT_THAT(second.error().message, HasSubstr("another `weft run` is writing it"));
}

TEST_F(ResultsFileTest, NamesWhyItCannotBeWritten) {
  const auto open_at = [&](const std::string& file) {
    return ResultsFile::open(file, {.input_hash = input_.hash, .model = "m"}, input_).error();
  };
  EXPECT_THAT(open_at(path("no/such.jsonl")).message, HasSubstr("its directory does not exist; make it first"));
  EXPECT_THAT(open_at(directory_.path()).message, HasSubstr("is a directory, expected a file"));
  EXPECT_EQ(open_at(path("no/such.jsonl")).code, ErrorCode::permission_denied);
  EXPECT_EQ(open_at("/proc/self/out.jsonl").code,
            ErrorCode::permission_denied);  // nobody can write there, root neither
  std::filesystem::create_directory(path("locked"));
  std::filesystem::permissions(path("locked"), std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  if (geteuid() != 0) {
    EXPECT_THAT(open_at(path("locked/out.jsonl")).message, HasSubstr("Permission denied"));
  }
}

TEST_F(ResultsFileTest, AFullDeviceIsAnErrorOfTheResult) {
  const auto full = ResultsFile::open("/dev/full", {.input_hash = input_.hash, .model = "m"}, input_);
  ASSERT_TRUE(full) << full.error().message;
  const Status written = (*full)->append(result(1));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::resource_exhausted);
  EXPECT_THAT(written.error().message, AllOf(HasSubstr("/dev/full"), HasSubstr("No space left on device")));
}

// In a process of its own, because the limit is the process's.
TEST_F(ResultsFileTest, ALineThatOnlyFitsInPartIsNotInTheFile) {
  const auto fill = [&] {
    const auto results = open().value();
    if (!results->append(result(1))) std::_Exit(1);
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{result(1).size() + 10, result(1).size() + 10};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) std::_Exit(2);
    const Status written = results->append(result(2));
    std::_Exit(!written && written.error().code == ErrorCode::resource_exhausted ? 0 : 3);
  };
  EXPECT_EXIT(fill(), testing::ExitedWithCode(0), "");
  EXPECT_EQ(output(), result(1));
}

}  // namespace
}  // namespace weft::frontend
