// Workers and heads that die or hang while requests run: named, the results so far kept, the rest done by the next run.
#include <csignal>

#include "tests/integration/run/run_test.h"

namespace weft::test {
namespace {

class Loss : public RunTest {
 protected:
  static constexpr int requests = sanitized ? 6 : 16;
  static constexpr int tokens = sanitized ? 60 : 400;
  static constexpr const char* short_lease = sanitized ? "timeouts.lease=8s" : "timeouts.lease=2s";

  Loss() {
    std::vector<Json> chats;
    for (int i = 0; i < requests; ++i)
      chats.push_back(long_chat("long-" + std::to_string(i), tokens));
    write_requests(chats);
  }
  // Few at a time, so that seconds of work are left when the first results come.
  Child start_slowly(std::vector<std::string> set) {
    set.insert(set.end(), {"engine.max_requests=1", "log.level=debug"});
    return start({.set = std::move(set)});
  }
  // What was written stays, as it is; the rest comes, and all of it is alike.
  void expect_resumes(const std::vector<std::string>& set = {}) {
    const std::string before = read("results.jsonl");
    const auto done = static_cast<std::int64_t>(results().size());
    EXPECT_LT(done, requests) << "the run was to be ended before its end";
    const Ended again = run({.set = set});
    EXPECT_EQ(again.code, 0) << again.err;
    EXPECT_EQ(read("results.jsonl").substr(0, before.size()), before);
    EXPECT_EQ(summary()["requests"]["resumed"], done);
    const auto found = answers();
    EXPECT_EQ(found.size(), static_cast<std::size_t>(requests));
    for (const auto& [id, answer] : found) {
      EXPECT_EQ(error_of(answer), "");
      EXPECT_EQ(ids_of(answer), ids_of(found.begin()->second)) << id;
      EXPECT_EQ(ids_of(answer).size(), static_cast<std::size_t>(tokens));
    }
  }
};

TEST_F(Loss, OfTheOnlyWorkerKeepsTheResultsAndNamesRankPidAndSignal) {
  Child child = start_slowly({});
  const pid_t worker = wait_for_worker(child, 0);
  ASSERT_GT(worker, 0) << child.err();
  ASSERT_TRUE(wait_for_results(child, 1)) << child.err();
  ASSERT_EQ(kill(worker, SIGKILL), 0) << child.err();
  EXPECT_EQ(child.wait(), 1) << child.err();
  EXPECT_THAT(child.err(), HasSubstr("error: rank 0 (replica 0, pp 0, tp 0), pid " + std::to_string(worker) +
                                     ", was killed by signal 9 (SIGKILL) while ready"));
  EXPECT_GE(summary()["requests"]["answered"], 1);
  EXPECT_GE(summary()["requests"]["left"], 1);
  expect_resumes();
}

TEST_F(Loss, OfOneReplicaLetsTheOtherFinishWhatItRuns) {
  Child child = start_slowly({"parallel.data=2"});
  const pid_t worker = wait_for_worker(child, 1);
  ASSERT_GT(worker, 0) << child.err();
  ASSERT_TRUE(wait_for_results(child, 2)) << child.err();
  ASSERT_EQ(kill(worker, SIGKILL), 0) << child.err();
  EXPECT_EQ(child.wait(), 1) << child.err();
  EXPECT_THAT(child.err(),
              AllOf(HasSubstr("rank 1 (replica 1, pp 0, tp 0), pid " + std::to_string(worker)),
                    HasSubstr("replica 1 had failed: settled from the ledger"), HasSubstr("equal to the ledger's")));
  const Json told = summary();
  for (const auto& [cause, count] : told["failures"].items())
    EXPECT_TRUE(cause == "not_started" || (cause == "unavailable" && count == 1)) << told["failures"];
  EXPECT_EQ(told["requests"]["answered"], results().size());
  expect_resumes({"parallel.data=2"});
}

TEST_F(Loss, OfATensorRankIsToldOfThatRankNotOfItsPeers) {
  Child child = start_slowly({"parallel.tensor=2"});
  const pid_t worker = wait_for_worker(child, 1);
  ASSERT_GT(worker, 0) << child.err();
  ASSERT_TRUE(wait_for_results(child, 1)) << child.err();
  ASSERT_EQ(kill(worker, SIGKILL), 0) << child.err();
  EXPECT_EQ(child.wait(), 1) << child.err();
  EXPECT_THAT(child.err(), HasSubstr("error: rank 1 (replica 0, pp 0, tp 1), pid " + std::to_string(worker) +
                                     ", was killed by signal 9 (SIGKILL)"));
  expect_resumes();
}

// Its link or its lease, whichever the head misses first.
TEST_F(Loss, OfAWorkerThatHangsIsNoticedWithinItsLease) {
  Child child = start_slowly({short_lease});
  const pid_t worker = wait_for_worker(child, 0);
  ASSERT_GT(worker, 0) << child.err();
  ASSERT_TRUE(wait_for_results(child, 1)) << child.err();
  ASSERT_EQ(kill(worker, SIGSTOP), 0) << child.err();
  EXPECT_EQ(child.wait(), 1) << child.err();
  EXPECT_THAT(child.err(), HasSubstr("error: rank 0 (replica 0, pp 0, tp 0)"));
  expect_resumes();
}

TEST_F(Loss, OfAFollowerThatHangsIsToldOfThatRankNotOfItsLeader) {
  Child child = start_slowly({"parallel.tensor=2", short_lease});
  const pid_t worker = wait_for_worker(child, 1);
  ASSERT_GT(worker, 0) << child.err();
  ASSERT_TRUE(wait_for_results(child, 1)) << child.err();
  ASSERT_EQ(kill(worker, SIGSTOP), 0) << child.err();
  EXPECT_EQ(child.wait(), 1) << child.err();
  EXPECT_THAT(child.err(), HasSubstr("error: rank 1 (replica 0, pp 0, tp 1)"));
  expect_resumes();
}

TEST_F(Loss, OfTheHeadLeavesNoOrphanAndTheNextRunGoesOn) {
  Child child = start_slowly({"parallel.data=2"});
  std::vector<Descriptor> workers;
  for (const int rank : {0, 1})
    workers.push_back(open_pidfd(wait_for_worker(child, rank)));
  ASSERT_TRUE(wait_for_results(child, 2)) << child.err();
  child.signal(SIGKILL);
  EXPECT_EQ(child.wait(), 128 + SIGKILL);
  for (const Descriptor& worker : workers)
    EXPECT_TRUE(wait_readable(worker, Deadline::in(patience))) << "an orphan";
  expect_resumes({"parallel.data=2"});
}

}  // namespace
}  // namespace weft::test
