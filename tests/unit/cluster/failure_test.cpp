// How a replica goes down, and what is said to be the cause.
#include <fstream>

#include "tests/unit/cluster/fake_cluster.h"

namespace weft {
namespace {

using Failure = test::ClusterTest;
using test::exit_code;
using test::exit_signal;

bool has(const Error& error, std::string_view part) { return error.message.find(part) != std::string::npos; }

TEST_F(Failure, AnExitBeforeTheJoinNamesRankPidAndCodeWithTheLog) {
  ASSERT_TRUE(start(1, 2));
  executor_.wait_launched(1);
  std::ofstream log(log_of(1));
  for (int line = 1; line <= 30; ++line)
    log << "line " << line << "\n";
  log.close();
  executor_.exit(1, exit_code(3));
  const Status ready = cluster_->wait_ready(test::soon());
  ASSERT_FALSE(ready);
  const Error& error = ready.error();
  EXPECT_TRUE(has(error, "rank 1 (replica 0, pp 0, tp 1), pid 1001, exited with code 3 while ")) << error.message;
  EXPECT_TRUE(has(error, log_of(1) + ":\nline 11\n")) << error.message;
  EXPECT_TRUE(has(error, "\nline 30")) << error.message;
  EXPECT_FALSE(has(error, "line 10\n")) << error.message;
}

// An executor whose logs lie where the head cannot read them.
class KeptLogs final : public ExecutorLogTail {
 public:
  Result<std::string> log_tail(const GangId& gang, std::int32_t rank, std::int32_t lines, Deadline deadline) override {
    EXPECT_FALSE(deadline.passed());
    if (fails) return fail(ErrorCode::unavailable, "the log service is away");
    return "kept of " + gang.id + "." + std::to_string(gang.incarnation) + " rank " + std::to_string(rank) + ", " +
           std::to_string(lines) + " lines";
  }
  bool fails = false;
};

TEST_F(Failure, ALostRanksLogIsTheOneThatItsExecutorKeeps) {
  KeptLogs logs;
  executor_.log_tails = &logs;
  ASSERT_TRUE(start(1, 2));
  executor_.wait_launched(1);
  std::ofstream(log_of(1)) << "of the file\n";
  executor_.exit(1, exit_code(3));
  const Status ready = cluster_->wait_ready(test::soon());
  ASSERT_FALSE(ready);
  EXPECT_TRUE(has(ready.error(), "kept of replica-0.1 rank 1, 20 lines")) << ready.error().message;
  EXPECT_FALSE(has(ready.error(), "of the file")) << ready.error().message;
}

TEST_F(Failure, WhereTheExecutorHasNoLogTheFileIsRead) {
  KeptLogs logs;
  logs.fails = true;
  executor_.log_tails = &logs;
  ASSERT_TRUE(start(1, 2));
  executor_.wait_launched(1);
  std::ofstream(log_of(1)) << "of the file\n";
  executor_.exit(1, exit_code(3));
  const Status ready = cluster_->wait_ready(test::soon());
  ASSERT_FALSE(ready);
  EXPECT_TRUE(has(ready.error(), "of the file")) << ready.error().message;
}

TEST_F(Failure, ASignalDuringTheLoadIsNamed) {
  ASSERT_TRUE(start(1, 2));
  say_hello();
  for (const auto& [rank, worker] : workers_)
    worker->say(wire::PHASE_JOINED);
  workers_[0]->say(wire::PHASE_LOADED);
  // Loading has begun once the head has all of that; a kill earlier would be named just so, but for the state.
  executor_.exit(1, exit_signal(9));
  const Status ready = cluster_->wait_ready(test::soon());
  ASSERT_FALSE(ready);
  EXPECT_TRUE(has(ready.error(), "pid 1001, was killed by signal 9 (SIGKILL) while ")) << ready.error().message;
  EXPECT_TRUE(ready.error().retryable);
}

TEST_F(Failure, AnExitWhileReadyIsToldAndItsPeersAreStopped) {
  ASSERT_TRUE(start(2, 2));
  bring_up();
  executor_.exit(3, exit_signal(11));
  const Error why = events_.wait_down(1);
  EXPECT_TRUE(has(why, "rank 3 (replica 1, pp 0, tp 1), pid 1003, was killed by signal 11 (SIGSEGV) while ready"))
      << why.message;
  EXPECT_EQ(status(1).state, ReplicaState::down);
  EXPECT_EQ(status(0).state, ReplicaState::ready) << "the other replica goes on";
  ASSERT_TRUE(cluster_->stop(Duration::zero()));
  EXPECT_EQ(executor_.stops("replica-1").front(), Duration::zero());
}

TEST_F(Failure, AnOrderlyExitThatNobodyAskedForIsAFailureToo) {
  ASSERT_TRUE(start(1, 1));
  bring_up();
  executor_.exit(0, exit_code(0));
  EXPECT_TRUE(has(events_.wait_down(0), "exited with code 0 while ready"));
}

TEST_F(Failure, ARankThatCouldNotBeStartedIsNamedWithItsReason) {
  executor_.place = false;
  ASSERT_TRUE(start(1, 1));
  executor_.wait_launched(1);
  executor_.exit(0, {.cause = Exit::Cause::never_started, .value = 0, .detail = "/bin/weft: No such file"});
  const Status ready = cluster_->wait_ready(test::soon());
  ASSERT_FALSE(ready);
  EXPECT_TRUE(has(ready.error(), "could not be started (/bin/weft: No such file) while launching"))
      << ready.error().message;
}

TEST_F(Failure, ASignalIsNamedOnceWhereTheExecutorHasNamedIt) {
  ASSERT_TRUE(start(1, 1));
  executor_.wait_launched(1);
  executor_.exit(0, {.cause = Exit::Cause::signal, .value = 9, .detail = "SIGKILL"});
  EXPECT_TRUE(has(cluster_->wait_ready(test::soon()).error(), "was killed by signal 9 (SIGKILL) while "));
}

TEST_F(Failure, ItsOwnWordsSayMoreThanItsExitCodeAndBothAreTold) {
  ASSERT_TRUE(start(1, 1));
  say_hello();
  workers_[0]->fail_with({ErrorCode::not_found, "model.safetensors is missing"});
  executor_.exit(0, exit_code(1));
  const Status ready = cluster_->wait_ready(test::soon());
  ASSERT_FALSE(ready);
  EXPECT_EQ(ready.error().code, ErrorCode::not_found);
  EXPECT_TRUE(has(ready.error(), "rank 0 (replica 0, pp 0, tp 0): model.safetensors is missing"));
  EXPECT_TRUE(has(ready.error(), "pid 1000, exited with code 1")) << ready.error().message;
}

TEST_F(Failure, AnExitThatIsHeardBeforeTheWordsThatExplainItDoesNotHideThem) {
  ASSERT_TRUE(start(1, 1));
  say_hello();
  executor_.exit(0, exit_code(1));
  workers_[0]->fail_with({ErrorCode::data_loss, "the file is cut short"});
  EXPECT_TRUE(has(cluster_->wait_ready(test::soon()).error(), "the file is cut short"));
}

TEST_F(Failure, AKillSaysMoreThanWhatItDidToItsPeers) {
  ASSERT_TRUE(start(1, 2));
  bring_up();
  workers_[0]->fail_with({ErrorCode::unavailable, "all_reduce: rank 1 hung up"});
  executor_.exit(0, exit_code(1));
  workers_[1]->hang_up();
  executor_.exit(1, exit_signal(9));
  const Error why = events_.wait_down(0);
  EXPECT_TRUE(has(why, "rank 1 (replica 0, pp 0, tp 1), pid 1001, was killed by signal 9")) << why.message;
}

TEST_F(Failure, TheFirstCauseSaysMoreThanThePeersWhoLostIt) {
  ASSERT_TRUE(start(1, 2));
  say_hello();
  workers_[0]->fail_with({ErrorCode::aborted, "group tensor-0: a peer is gone"});
  executor_.exit(0, exit_code(1));
  workers_[1]->fail_with({ErrorCode::resource_exhausted, "no memory for 512 MiB"});
  executor_.exit(1, exit_code(1));
  const Status ready = cluster_->wait_ready(test::soon());
  ASSERT_FALSE(ready);
  EXPECT_TRUE(has(ready.error(), "rank 1 (replica 0, pp 0, tp 1): no memory for 512 MiB")) << ready.error().message;
}

// The same, but rank 0's exit overtakes its words, and rank 1 has told all before they come.
TEST_F(Failure, AnExitStillToBeExplainedIsNotTakenForTheCauseOfWhatAnotherHasExplained) {
  ASSERT_TRUE(start(1, 2));
  say_hello();
  executor_.exit(0, exit_code(1));
  workers_[1]->fail_with({ErrorCode::resource_exhausted, "no memory for 512 MiB"});
  workers_[1]->sync();
  executor_.exit(1, exit_code(1));
  workers_[0]->fail_with({ErrorCode::aborted, "group tensor-0: a peer is gone"});
  const Status ready = cluster_->wait_ready(test::soon());
  ASSERT_FALSE(ready);
  EXPECT_TRUE(has(ready.error(), "rank 1 (replica 0, pp 0, tp 1): no memory for 512 MiB")) << ready.error().message;
}

TEST_F(Failure, ALinkThatIsLostWaitsForTheExitThatExplainsIt) {
  ASSERT_TRUE(start(1, 1));
  bring_up();
  workers_[0]->hang_up();
  executor_.exit(0, exit_signal(6));
  EXPECT_TRUE(has(events_.wait_down(0), "was killed by signal 6 (SIGABRT)"));
}

TEST_F(Failure, ALinkThatIsLostWithoutAnExitIsAFailure) {
  ASSERT_TRUE(start(1, 1));
  bring_up();
  workers_[0]->hang_up();
  EXPECT_TRUE(has(events_.wait_down(0), "rank 0 (replica 0, pp 0, tp 0) is no longer reachable"));
}

TEST_F(Failure, ALeaseThatRunsOutNamesTheRank) {
  config_.timeouts.lease = std::chrono::seconds(1);
  ASSERT_TRUE(start(1, 2));
  bring_up();
  workers_[1]->beat(0, false);  // once; rank 0 has never beaten and owes nothing
  const Error why = events_.wait_down(0);
  EXPECT_TRUE(has(why, "rank 1 (replica 0, pp 0, tp 1), pid 1001, has not been heard of for 1.0 s (timeouts.lease)"))
      << why.message;
}

TEST_F(Failure, WorkWithoutProgressIsAStallAndIdlenessIsNot) {
  config_.timeouts.stall = std::chrono::milliseconds(300);
  ASSERT_TRUE(start(2, 1));
  bring_up();
  workers_[0]->beat(7, false);
  workers_[1]->beat(7, true);
  const Error why = events_.wait_down(1);
  EXPECT_TRUE(has(why,
                  "rank 1 (replica 1, pp 0, tp 0), pid 1001, has work and has made no progress for 0.3 s "
                  "(timeouts.stall); last seen at step 7"))
      << why.message;
  EXPECT_EQ(status(0).state, ReplicaState::ready);
}

TEST_F(Failure, ARelaunchedWorkerOfALostReplicaIsTurnedAway) {
  ASSERT_TRUE(start(2, 1));
  bring_up();
  executor_.exit(1, exit_signal(9));
  (void)events_.wait_down(1);
  test::FakeWorker late(1, executor_);
  ASSERT_TRUE(late.dial(cluster_->endpoint(), run_->token()));
  late.hello();
  (void)late.wait_down();
  EXPECT_EQ(status(0).state, ReplicaState::ready);
}

TEST_F(Failure, TheGroupsOfALostReplicaAreRetired) {
  ASSERT_TRUE(start(1, 1));
  bring_up();
  ASSERT_TRUE(cluster_->store().set("group/replica-0.1/tensor-0/gloo/0", "x", test::soon()));
  executor_.exit(0, exit_signal(9));
  (void)events_.wait_down(0);
  ASSERT_TRUE(cluster_->stop(Duration::zero()));
  const auto late = cluster_->store().set("group/replica-0.1/tensor-0/gloo/1", "x", test::soon());
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::aborted);
}

}  // namespace
}  // namespace weft
