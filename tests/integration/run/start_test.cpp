// A cluster that cannot start says which rank is to blame, and leaves nothing behind.
#include <csignal>

#include "tests/integration/run/run_test.h"

namespace weft::test {
namespace {

namespace fs = std::filesystem;

// Workers are started through a script, by the executor of these tests.
class Start : public RunTest {
 protected:
  Start() { write_requests(golden_chats()); }

  // `script` is sh; the worker's command follows it.
  void wrap_workers(const std::string& script, const std::string& model = model_directory) {
    write("wrapper", "#!/bin/sh\n" + script + "\nexec \"$@\"\n");
    fs::permissions(path("wrapper"), fs::perms::owner_all);
    write_config("[executor]\npath = \"" WEFT_BUILD_DIR
                 "/tests/plugins/libweft-executor-wrapping.so\"\n"
                 "[executor.config]\nwrapper = \"" +
                     path("wrapper") + "\"\n",
                 model);
  }
  void expect_resumes() {
    write_config();
    const Ended again = run();
    EXPECT_EQ(again.code, 0) << again.err;
    EXPECT_EQ(answers().size(), golden_cases().size());
  }
};

TEST_F(Start, GoesOnThroughAnExecutorOfAnotherMaker) {
  wrap_workers("");
  const Ended ended = run({.set = {"parallel.data=2"}});
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(answers().size(), golden_cases().size());
}

// Each worker finds the weights in its own working directory, so that one may have others.
TEST_F(Start, IsRefusedWhereACopyDiffersAndNamesTheOddReplica) {
  fs::create_directory(path("model"));
  for (const auto& entry : fs::directory_iterator(model_directory))
    fs::create_symlink(entry.path(), path("model/" + entry.path().filename().string()));
  fs::remove(path("model/model.safetensors"));
  fs::create_symlink("/proc/self/cwd/model.safetensors", path("model/model.safetensors"));
  std::string weights = read(std::string(model_directory) + "/model.safetensors");
  write("model.safetensors", weights);
  weights[weights.size() / 2] = static_cast<char>(weights[weights.size() / 2] ^ 1);
  fs::create_directory(path("other"));
  write("other/model.safetensors", weights);
  wrap_workers("if [ \"$WEFT_RANK\" = 1 ]; then cd other; fi", path("model"));
  const Ended ended = run({.set = {"parallel.data=3"}});
  EXPECT_EQ(ended.code, 5) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("the copies differ: replica 1 loaded weights that hash to"));
  EXPECT_THAT(ended.err, HasSubstr("replica 0, 2 has"));
  EXPECT_EQ(read("results.jsonl"), "");
}

TEST_F(Start, NamesTheRankThatNeverJoins) {
  wrap_workers("if [ \"$WEFT_RANK\" = 1 ]; then kill -STOP $$; fi");
  const Ended ended = run({.set = {"parallel.data=2", "timeouts.join=2s"}});
  EXPECT_EQ(ended.code, 5) << ended.err;
  EXPECT_THAT(ended.err, AllOf(HasSubstr("rank 1 (replica 1, pp 0, tp 0)"), HasSubstr("did not join"),
                               HasSubstr("timeouts.join"), Not(HasSubstr("rank 0 ("))));
  expect_resumes();
}

TEST_F(Start, NamesTheRankThatExitsAndShowsItsLastWords) {
  wrap_workers("if [ \"$WEFT_RANK\" = 1 ]; then echo 'out of luck' >&2; exit 7; fi");
  const Ended ended = run({.set = {"parallel.tensor=2"}});
  EXPECT_EQ(ended.code, 5) << ended.err;
  EXPECT_THAT(ended.err, AllOf(HasSubstr("rank 1 (replica 0, pp 0, tp 1)"), HasSubstr("exited with code 7"),
                               HasSubstr("out of luck")));
}

TEST_F(Start, NamesTheProgramThatCannotBeRun) {
  wrap_workers("");
  fs::permissions(path("wrapper"), fs::perms::owner_read);
  const Ended ended = run();
  EXPECT_EQ(ended.code, 5) << ended.err;
  EXPECT_THAT(ended.err, AllOf(HasSubstr("rank 0"), HasSubstr(path("wrapper"))));
}

// Rank 1 never comes, so that replica 0 still waits for the other's weights when it is killed.
TEST_F(Start, NamesTheWorkerThatIsKilledWhileItLoadsAndItsSignal) {
  wrap_workers("if [ \"$WEFT_RANK\" = 1 ]; then kill -STOP $$; fi");
  Child child = start({.set = {"parallel.data=2", "log.level=debug"}});
  const pid_t worker = wait_for_worker(child, 0);
  ASSERT_GT(worker, 0) << child.err();
  ASSERT_TRUE(child.wait_for("rank 0 (replica 0, pp 0, tp 0): loaded")) << child.err();
  ASSERT_EQ(kill(worker, SIGKILL), 0);
  EXPECT_EQ(child.wait(), 5) << child.err();
  EXPECT_THAT(child.err(), HasSubstr("the cluster could not start: rank 0 (replica 0, pp 0, tp 0), pid " +
                                     std::to_string(worker) + ", was killed by signal 9 (SIGKILL) while loading"));
  expect_resumes();
}

TEST_F(Start, IsGivenUpAtOnceByAnInterrupt) {
  wrap_workers("if [ \"$WEFT_RANK\" = 1 ]; then kill -STOP $$; fi");
  Child child = start({.set = {"parallel.data=2", "log.level=debug"}});
  ASSERT_TRUE(child.wait_for("replica 1.1: launching -> joining")) << child.err();
  child.signal_group(SIGINT);
  EXPECT_EQ(child.wait(), 130) << child.err();
  EXPECT_THAT(child.err(), Not(HasSubstr("could not start")));
  expect_resumes();
}

TEST_F(Start, LeavesNoWorkerIfTheHeadIsKilledInIt) {
  wrap_workers("if [ \"$WEFT_RANK\" = 1 ]; then kill -STOP $$; fi");
  Child child = start({.set = {"parallel.data=2", "log.level=debug"}});
  ASSERT_TRUE(child.wait_for("rank 0 (replica 0, pp 0, tp 0): loaded")) << child.err();
  std::vector<Descriptor> all;
  for (const pid_t pid : processes())
    if (pid != child.pid()) all.push_back(open_pidfd(pid));
  EXPECT_EQ(all.size(), 2U);
  child.signal(SIGKILL);
  EXPECT_EQ(child.wait(), 128 + SIGKILL);
  for (const Descriptor& each : all)
    EXPECT_TRUE(wait_readable(each, Deadline::in(patience))) << "an orphan";
  expect_resumes();
}

}  // namespace
}  // namespace weft::test
