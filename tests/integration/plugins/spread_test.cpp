// An executor with several nodes: which communicators are loaded, and when. Loading forks, and an executor has threads, so all
// that a plan may choose has to be there before the executor's object is.
#include "tests/integration/run/run_test.h"

namespace weft::test {
namespace {

class Spread : public RunTest {
 protected:
  // `weft plan --json` with the executor libweft-executor-NAME.so of spread_executor.cpp.
  Ended plan(const std::string& name, std::vector<std::string> set = {}) {
    write_config("[executor]\npath = \"" SPREAD_PLUGINS "/libweft-executor-" + name + ".so\"\n");
    std::vector<std::string> argv = {weft_program, "plan", "-c", path("weft.toml"), "--json"};
    set.push_back("parallel.threads=1");
    for (const std::string& each : set)
      argv.insert(argv.end(), {"--set", each});
    Child child({.argv = std::move(argv), .env = {{"XDG_STATE_HOME", path("state")}}, .directory = directory_.path()});
    const int code = child.wait();
    return {code, child.out(), child.err()};
  }
};

TEST_F(Spread, CopiesThatSpanNodesAreJoinedByTcp) {
  const Ended ended = plan("spread", {"parallel.pipeline=2"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  const Json made = Json::parse(ended.out);
  EXPECT_EQ(made["communicator"], "gloo");
  EXPECT_EQ(made["control"], "gloo");
}

TEST_F(Spread, CopiesOnANodeEachKeepSharedMemoryAndTheirLeadersMeetByTcp) {
  const Ended ended = plan("spread", {"parallel.data=2"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  const Json made = Json::parse(ended.out);
  EXPECT_EQ(made["communicator"], "shm");
  EXPECT_EQ(made["control"], "gloo");
}

TEST_F(Spread, AnExecutorThatKeepsItsNodesToItselfIsToldWhatToDeclare) {
  const Ended ended = plan("sly", {"parallel.pipeline=2"});
  EXPECT_EQ(ended.code, 4) << ended.err;
  EXPECT_THAT(ended.err, AllOf(HasSubstr("executor/sly places ranks on several nodes"), HasSubstr("several_nodes"),
                               HasSubstr("communicator.plugin = \"gloo\"")));
  EXPECT_EQ(plan("sly", {"parallel.pipeline=2", "communicator.plugin=gloo"}).code, 0);
  EXPECT_EQ(plan("sly").code, 0) << "one rank is on one node";
}

}  // namespace
}  // namespace weft::test
