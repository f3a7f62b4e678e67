// From launch to ready, and what is refused on the way.
#include <fstream>

#include "tests/unit/cluster/fake_cluster.h"

namespace weft {
namespace {

using Join = test::ClusterTest;

std::map<std::string, std::string> environment(const RankSpec& rank) { return {rank.env.begin(), rank.env.end()}; }

TEST_F(Join, EveryRankIsLaunchedWithWhatItNeedsToFindTheHead) {
  ASSERT_TRUE(start(2, 2));
  executor_.wait_launched(2);
  const GangSpec spec = executor_.spec("replica-1");
  EXPECT_EQ(spec.gang.incarnation, 1);
  EXPECT_TRUE(spec.die_with_head);
  ASSERT_EQ(spec.ranks.size(), 2u);
  EXPECT_EQ(spec.ranks[1].rank, 3);
  EXPECT_EQ(spec.ranks[1].log_path, log_of(3));
  auto variables = environment(spec.ranks[1]);
  EXPECT_EQ(variables["WEFT_HEAD"], cluster_->endpoint());
  EXPECT_EQ(variables["WEFT_TOKEN"], run_->token());
  EXPECT_EQ(variables["WEFT_RANK"], "3");
  EXPECT_EQ(variables["WEFT_INCARNATION"], "1");
  for (const std::string& argument : spec.ranks[1].argv)
    EXPECT_EQ(argument.find(run_->token()), std::string::npos) << "the token is in argv";
  std::ifstream file(run_->path() + "/endpoint");
  std::string published;
  std::getline(file, published);
  EXPECT_EQ(published, cluster_->endpoint());
}

TEST_F(Join, AssignNamesTheGroupsOfEachRank) {
  ASSERT_TRUE(start(2, 2));
  say_hello();
  const wire::Assign assign = workers_[3]->wait_assign();
  EXPECT_EQ(assign.dp(), 1);
  EXPECT_EQ(assign.tp(), 1);
  EXPECT_EQ(assign.tp_size(), 2);
  EXPECT_EQ(assign.config_hash(), config_hash());
  EXPECT_EQ(assign.config_toml(), print_config(config_));
  EXPECT_EQ(assign.control().id(), "replica-1.1/control");
  EXPECT_EQ(assign.tensor().rank(), 1);
  EXPECT_EQ(assign.tensor().size(), 2);
  EXPECT_EQ(assign.tensor().members(1), "rank 3 (replica 1, pp 0, tp 1)");
  EXPECT_EQ(assign.pipeline().size(), 1);
  EXPECT_EQ(assign.replicas().size(), 0) << "only leaders compare";
  EXPECT_EQ(workers_[2]->wait_assign().replicas().size(), 2);
  EXPECT_EQ(workers_[2]->wait_assign().replicas().rank(), 1);
}

TEST_F(Join, AllReplicasBecomeReadyAndAreTold) {
  ASSERT_TRUE(start(2, 2));
  bring_up();
  EXPECT_EQ(events_.ready().size(), 2u);
  EXPECT_EQ(status(1).state, ReplicaState::ready);
  EXPECT_EQ(status(1).weight_bytes, 200u);
  EXPECT_EQ(status(1).kv_blocks, 64);
}

TEST_F(Join, WorkersMayJoinBeforeTheExecutorSaysThatTheyArePlaced) {
  executor_.place = false;
  ASSERT_TRUE(start(1, 2));
  say_hello();
  for (const auto& [rank, worker] : workers_) {
    worker->say(wire::PHASE_JOINED);
    worker->say(wire::PHASE_LOADED);
  }
  workers_[0]->say_ready(config_hash());
  EXPECT_FALSE(cluster_->wait_ready(Deadline::in(std::chrono::milliseconds(50))));
  executor_.place_all();
  const Status ready = cluster_->wait_ready(test::soon());
  EXPECT_TRUE(ready) << ready.error().message;
}

TEST_F(Join, TheLeaderMayBeHeardReadyBeforeItsPeersAreHeardJoined) {
  ASSERT_TRUE(start(1, 2));
  say_hello();
  workers_[0]->say(wire::PHASE_JOINED);
  workers_[0]->say_ready(config_hash());
  EXPECT_FALSE(cluster_->wait_ready(Deadline::in(std::chrono::milliseconds(50))));
  workers_[1]->say(wire::PHASE_JOINED);
  EXPECT_TRUE(cluster_->wait_ready(test::soon()));
}

TEST_F(Join, NoLeaseRunsWhileGroupsOpen) {
  config_.timeouts.lease = std::chrono::milliseconds(100);
  config_.timeouts.join = std::chrono::milliseconds(1500);
  ASSERT_TRUE(start(1, 1));
  say_hello();
  EXPECT_NE(cluster_->wait_ready(test::soon()).error().message.find("timeouts.join"), std::string::npos);
}

TEST_F(Join, WaitReadySaysWhatEachReplicaIsDoing) {
  ASSERT_TRUE(start(2, 1));
  executor_.wait_launched(2);
  const Status ready = cluster_->wait_ready(Deadline::in(std::chrono::milliseconds(50)));
  ASSERT_FALSE(ready);
  EXPECT_EQ(ready.error().code, ErrorCode::deadline_exceeded);
  EXPECT_NE(ready.error().message.find("replica 1 is "), std::string::npos) << ready.error().message;
}

TEST_F(Join, ARankThatNeverJoinsIsNamed) {
  config_.timeouts.join = std::chrono::milliseconds(500);
  ASSERT_TRUE(start(1, 3));
  executor_.wait_launched(1);
  dial(0).hello();
  workers_[0]->say(wire::PHASE_JOINED);
  dial(2).hello();  // and no more
  std::ofstream(log_of(1)) << "I am stuck\n";
  const Status ready = cluster_->wait_ready(test::soon());
  ASSERT_FALSE(ready);
  EXPECT_EQ(ready.error().code, ErrorCode::deadline_exceeded);
  EXPECT_EQ(ready.error().message.find("rank 0 ("), std::string::npos) << ready.error().message;
  EXPECT_NE(ready.error().message.find("rank 1 (replica 0, pp 0, tp 1), rank 2 (replica 0, pp 0, tp 2): did not join "
                                       "within 0.5 s (timeouts.join)"),
            std::string::npos)
      << ready.error().message;
  EXPECT_NE(ready.error().message.find("I am stuck"), std::string::npos) << "the log of the first that is missing";
}

TEST_F(Join, AGangThatIsNeverPlacedIsNamed) {
  config_.timeouts.launch = std::chrono::milliseconds(200);
  executor_.place = false;
  ASSERT_TRUE(start(1, 2));
  const Status ready = cluster_->wait_ready(test::soon());
  ASSERT_FALSE(ready);
  EXPECT_NE(ready.error().message.find("rank 1 (replica 0, pp 0, tp 1): not placed within 0.2 s (timeouts.launch)"),
            std::string::npos)
      << ready.error().message;
}

TEST_F(Join, ARankThatNeverLoadsIsNamed) {
  config_.timeouts.load = std::chrono::milliseconds(500);
  ASSERT_TRUE(start(1, 2));
  say_hello();
  for (const auto& [rank, worker] : workers_)
    worker->say(wire::PHASE_JOINED);
  workers_[0]->say(wire::PHASE_LOADED);
  const Status ready = cluster_->wait_ready(test::soon());
  ASSERT_FALSE(ready);
  EXPECT_EQ(ready.error().message.find("rank 1 (replica 0, pp 0, tp 1): not ready within 0.5 s (timeouts.load)"), 0u)
      << ready.error().message;
}

TEST_F(Join, AnotherBuildIsRefusedAndNamed) {
  ASSERT_TRUE(start(1, 1));
  executor_.wait_launched(1);
  dial(0).hello("build-2");
  const Status ready = cluster_->wait_ready(test::soon());
  ASSERT_FALSE(ready);
  EXPECT_EQ(ready.error().code, ErrorCode::refused);
  EXPECT_NE(ready.error().message.find("rank 0 (replica 0, pp 0, tp 0) was refused"), std::string::npos);
  EXPECT_NE(ready.error().message.find("its build is 'build-2', the head's 'build-1'"), std::string::npos);
}

TEST_F(Join, AnotherPluginFileIsRefusedAndNamedWithBothHashes) {
  ASSERT_TRUE(start(1, 1));
  executor_.wait_launched(1);
  dial(0).hello("build-1", "def");
  const Status ready = cluster_->wait_ready(test::soon());
  ASSERT_FALSE(ready);
  EXPECT_EQ(ready.error().code, ErrorCode::refused);
  EXPECT_NE(ready.error().message.find("its plugin device/mock 1.1 has sha256 def, the head's 1.0 has abc"),
            std::string::npos)
      << ready.error().message;
}

TEST_F(Join, AMissingPluginIsRefusedAndNamed) {
  plugins_.push_back({"communicator", "gloo", "1.0", "abc", "/nowhere"});
  ASSERT_TRUE(start(1, 1));
  executor_.wait_launched(1);
  dial(0).hello();
  EXPECT_NE(cluster_->wait_ready(test::soon()).error().message.find("it has no plugin communicator/gloo"),
            std::string::npos);
}

TEST_F(Join, AnotherConfigurationIsRefused) {
  ASSERT_TRUE(start(1, 1));
  say_hello();
  workers_[0]->say(wire::PHASE_JOINED);
  workers_[0]->say_ready("0123");
  const Status ready = cluster_->wait_ready(test::soon());
  ASSERT_FALSE(ready);
  EXPECT_EQ(ready.error().code, ErrorCode::refused);
  EXPECT_NE(ready.error().message.find("runs configuration 0123"), std::string::npos) << ready.error().message;
}

TEST_F(Join, APortThatIsTakenIsNamed) {
  ASSERT_TRUE(start(1, 1));
  const std::string taken = cluster_->endpoint().substr(std::string("tcp://").size());
  Config config = config_;
  config.cluster.listen = taken;
  auto run = RunDirectory::create(directory_.file("other"), "test");
  ASSERT_TRUE(run);
  test::MockExecutor executor;
  const auto second = Cluster::start({.config = &config,
                                      .plan = &plan_,
                                      .executor = &executor,
                                      .run_directory = run->get(),
                                      .plugins = {},
                                      .worker_argv = {"/bin/weft"},
                                      .build = "build-1"},
                                     events_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::unavailable);
  EXPECT_NE(second.error().message.find(taken), std::string::npos) << second.error().message;
  EXPECT_EQ(executor.living(), 0u);
}

TEST_F(Join, AnExecutorThatRefusesEndsTheStartAtOnce) {
  executor_.refuse = Error{ErrorCode::invalid_argument, "no node 'moon'"};
  ASSERT_TRUE(start(2, 2));
  const Status ready = cluster_->wait_ready(test::soon());
  ASSERT_FALSE(ready);
  EXPECT_EQ(ready.error().message, "replica 0: executor: no node 'moon'");
}

}  // namespace
}  // namespace weft
