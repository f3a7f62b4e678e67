// Several programs on one machine: ports, run directories and outputs that are somebody else's.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <csignal>

#include "tests/integration/run/run_test.h"

namespace weft::test {
namespace {

class Neighbours : public RunTest {
 protected:
  Neighbours() { write_requests(golden_chats()); }

  // A run that has its run directory and has published its port, and now stands still.
  Child start_and_hold(RunArguments arguments) {
    arguments.set.insert(arguments.set.end(), {"log.level=debug", "timeouts.lease=2m"});
    Child child = start(arguments);
    EXPECT_TRUE(child.wait_for("cluster: bound and published")) << child.err();
    child.signal(SIGSTOP);
    return child;
  }
  void expect_ends_well(Child& child) {
    child.signal(SIGCONT);
    EXPECT_EQ(child.wait(), 0) << child.err();
    EXPECT_EQ(answers().size(), golden_cases().size());
  }
};

TEST_F(Neighbours, ThatHaveTheHeadsPortAreNamed) {
  const Descriptor taken(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(taken.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(taken.get(), 1), 0);
  ASSERT_EQ(getsockname(taken.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  const std::string endpoint = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  const Ended ended = run({.set = {"cluster.listen=" + endpoint, "log.level=debug"}});
  EXPECT_EQ(ended.code, 5) << ended.err;
  EXPECT_THAT(ended.err, AllOf(HasSubstr(endpoint), HasSubstr("in use"), Not(HasSubstr("launching"))));
}

TEST_F(Neighbours, OfOneClusterNameRunSideBySide) {
  Child first = start_and_hold({.own_run_directory = false});
  const Ended second = run({.output = "second.jsonl", .own_run_directory = false});
  EXPECT_EQ(second.code, 0) << second.err;
  EXPECT_THAT(second.err, HasSubstr(path("state/weft/weft-2/logs")));
  EXPECT_EQ(answers("second.jsonl").size(), golden_cases().size());
  expect_ends_well(first);
  EXPECT_THAT(first.err(), HasSubstr(path("state/weft/weft/logs")));
}

TEST_F(Neighbours, OfOneRunDirectoryAreRefusedAndTheHolderIsNamed) {
  Child first = start_and_hold({});
  const Ended second = run({.output = "second.jsonl"});
  EXPECT_EQ(second.code, 5) << second.err;
  EXPECT_THAT(second.err, AllOf(HasSubstr(run_directory()), HasSubstr("process " + std::to_string(first.pid()))));
  expect_ends_well(first);
}

TEST_F(Neighbours, OfOneOutputAreRefused) {
  Child first = start_and_hold({});
  const Ended second = run({.set = {"cluster.run_dir=" + path("other")}});
  EXPECT_EQ(second.code, 2) << second.err;
  EXPECT_THAT(second.err, AllOf(HasSubstr("results.jsonl"), HasSubstr("another `weft run`")));
  expect_ends_well(first);
}

}  // namespace
}  // namespace weft::test
