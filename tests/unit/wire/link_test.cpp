#include "core/wire/link.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <future>
#include <thread>

#include "link_fixture.h"

namespace weft::wire {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

TEST(Link, OpensAndCarriesMessagesBothWaysInOrder) {
  Listening head;
  head.bind();
  EXPECT_THAT(head.listener->endpoint(), testing::MatchesRegex("tcp://127.0.0.1:[1-9][0-9]*"));
  Client client;
  const auto dialer = head.dial(client, 5, 2);
  ASSERT_TRUE(dialer) << dialer.error().message;
  const Peer peer = head.server.wait_peer();
  EXPECT_EQ(peer.rank, 5);
  EXPECT_EQ(peer.incarnation, 2);
  EXPECT_EQ(peer.role, ROLE_WORKER);
  for (std::int64_t i = 0; i < 3000; ++i) {
    ASSERT_TRUE((*dialer)->send(numbered(i)));
    ASSERT_TRUE(head.listener->send(peer.link, numbered(i)));
  }
  EXPECT_EQ(head.server.wait_numbers(3000), numbers_to(3000));
  EXPECT_EQ(client.wait_numbers(3000), numbers_to(3000));
}

TEST(Link, RefusesAWrongToken) {
  Listening head;
  head.bind();
  Client client;
  const auto dialer = Dialer::dial(
      {.name = "stranger", .endpoint = head.listener->endpoint(), .token = "guess", .log = {}}, client, soon());
  ASSERT_FALSE(dialer);
  EXPECT_EQ(dialer.error().code, ErrorCode::permission_denied);
  EXPECT_THAT(dialer.error().message, HasSubstr("token"));
  EXPECT_TRUE(head.log.wait_for("refused"));
  EXPECT_EQ(head.log.text().find("guess"), std::string::npos) << "no token in the log";
}

TEST(Link, TellsTheDialerWhyTheHandlerRefusedIt) {
  Listening head;
  head.server.refuse = true;
  head.bind();
  Client client;
  const auto dialer = head.dial(client, 8);
  ASSERT_FALSE(dialer);
  EXPECT_EQ(dialer.error().code, ErrorCode::refused);
  EXPECT_THAT(dialer.error().message, HasSubstr("rank 8 is not expected"));
}

TEST(Link, DialFailsAtItsDeadlineAndNamesTheEndpoint) {
  Client client;
  // A bound port that nobody listens on as ZeroMQ: a listener that was, and is gone.
  std::string endpoint;
  {
    Listening head;
    endpoint = head.bind().listener->endpoint();
  }
  const auto dialer = Dialer::dial({.name = "worker", .endpoint = endpoint, .token = good_token, .log = {}}, client,
                                   Deadline::in(milliseconds(200)));
  ASSERT_FALSE(dialer);
  EXPECT_EQ(dialer.error().code, ErrorCode::deadline_exceeded);
  EXPECT_THAT(dialer.error().message, HasSubstr(endpoint));
}

TEST(Link, RefusesOptionsThatMakeNoSense) {
  Server server;
  Client client;
  EXPECT_EQ(Listener::bind({.name = "head", .token = "", .log = {}}, server).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(Listener::bind({.name = "head", .endpoint = "nonsense", .token = "t", .log = {}}, server).error().code,
            ErrorCode::invalid_argument);
  EXPECT_EQ(Listener::bind({.name = "head", .token = "t", .limits = {.window = 0}, .log = {}}, server).error().code,
            ErrorCode::invalid_argument);
  EXPECT_EQ(Dialer::dial({.name = "w", .endpoint = "nonsense", .token = "t", .log = {}}, client, soon()).error().code,
            ErrorCode::invalid_argument);
}

TEST(Link, APortThatIsTakenIsUnavailableAndNamed) {
  Listening head;
  head.bind();
  Server server;
  const auto second =
      Listener::bind({.name = "other", .endpoint = head.listener->endpoint(), .token = "t", .log = {}}, server);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::unavailable);
  EXPECT_THAT(second.error().message, HasSubstr(head.listener->endpoint()));
}

TEST(Link, StallsWithoutCreditAndResumesLosingNothing) {
  Listening head(LinkLimits{.window = 4});
  std::promise<void> go;
  const std::shared_future<void> gate = go.get_future().share();
  head.server.before_message = [&](const Peer&, const Envelope&) { gate.wait_for(seconds(60)); };
  head.bind();
  Client client;
  const auto dialer = head.dial(client);
  ASSERT_TRUE(dialer);
  for (std::int64_t i = 0; i < 500; ++i)
    ASSERT_TRUE((*dialer)->send(numbered(i)));
  go.set_value();
  EXPECT_EQ(head.server.wait_numbers(500), numbers_to(500));
}

TEST(Link, APeerThatGivesNoCreditIsDownOnceTooMuchWaits) {
  Listening head(LinkLimits{.window = 2, .max_queued = 8});
  std::promise<void> go;
  const std::shared_future<void> gate = go.get_future().share();
  head.server.before_message = [&](const Peer&, const Envelope&) { gate.wait_for(seconds(60)); };
  head.bind();
  Client client;
  const auto dialer = head.dial(client);
  ASSERT_TRUE(dialer);
  Status status;
  for (std::int64_t i = 0; i < 100 && status; ++i)
    status = (*dialer)->send(numbered(i));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::resource_exhausted);
  EXPECT_EQ(client.wait_down().code, ErrorCode::resource_exhausted);
  EXPECT_EQ((*dialer)->send(numbered(0)).error().code, ErrorCode::unavailable);
  go.set_value();
  EXPECT_EQ(head.server.wait_down(head.server.wait_peer().link).code, ErrorCode::resource_exhausted);
}

TEST(Link, RefusesToSendWhatNoPeerWouldTake) {
  Listening head(LinkLimits{.max_message = 4096});
  head.bind();
  Client client;
  const auto dialer = head.dial(client);
  ASSERT_TRUE(dialer);
  Envelope big;
  big.mutable_store_request()->set_value(std::string(5000, 'x'));
  EXPECT_EQ((*dialer)->send(big).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ((*dialer)->send(Envelope{}).error().code, ErrorCode::invalid_argument);
  Envelope bye;
  bye.mutable_bye();
  EXPECT_EQ((*dialer)->send(bye).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(head.listener->send(77, numbered(1)).error().code, ErrorCode::not_found);
}

TEST(Link, ADialerThatClosesFlushesAndSaysBye) {
  Listening head(LinkLimits{.window = 4});
  head.bind();
  Client client;
  {
    const auto dialer = head.dial(client);
    ASSERT_TRUE(dialer);
    for (std::int64_t i = 0; i < 100; ++i)
      ASSERT_TRUE((*dialer)->send(numbered(i)));
  }
  EXPECT_EQ(head.server.wait_numbers(100), numbers_to(100));
  EXPECT_EQ(head.server.wait_down(head.server.wait_peer().link).code, ErrorCode::cancelled);
}

TEST(Link, ClosingALinkTellsItsPeerAndLeavesTheOthers) {
  Listening head;
  head.bind();
  Client first;
  Client second;
  const auto one = head.dial(first, 0);
  const auto two = head.dial(second, 1);
  ASSERT_TRUE(one && two);
  const Peer peer = head.server.wait_peer(0);
  ASSERT_TRUE(head.listener->send(peer.link, numbered(0)));
  head.listener->close(peer.link, "replica 0 is retired");
  EXPECT_EQ(first.wait_numbers(1), numbers_to(1));
  const Error why = first.wait_down();
  EXPECT_EQ(why.code, ErrorCode::cancelled);
  EXPECT_EQ(why.message, "replica 0 is retired");
  EXPECT_EQ(head.server.wait_down(peer.link).code, ErrorCode::cancelled);
  ASSERT_TRUE((*two)->send(numbered(0)));
  EXPECT_EQ(head.server.wait_numbers(1), numbers_to(1));
}

TEST(Link, RunsTasksOnItsThreadInTimeOrder) {
  Listening head;
  head.bind();
  std::promise<std::thread::id> first;
  std::promise<std::thread::id> last;
  const Time now = Clock::now();
  head.listener->post_at(now + milliseconds(20), [&] { last.set_value(std::this_thread::get_id()); });
  head.listener->post_at(now + milliseconds(1), [&] { first.set_value(std::this_thread::get_id()); });
  const auto id = first.get_future().get();
  EXPECT_EQ(last.get_future().get(), id);
  EXPECT_NE(id, std::this_thread::get_id());
  EXPECT_GE(Clock::now(), now + milliseconds(20));
}

TEST(Link, ListenerDestroyedWhileDialersSendTellsEachOfThem) {
  Listening head(LinkLimits{.window = 16});
  head.bind();
  std::array<Client, 4> clients;
  std::vector<std::thread> threads;
  for (Client& client : clients) {
    threads.emplace_back([&] {
      const auto dialer = head.dial(client);
      ASSERT_TRUE(dialer);
      Status status;
      while (status || status.error().code == ErrorCode::resource_exhausted)
        status = (*dialer)->send(numbered(0));
      client.wait_down();
    });
  }
  head.server.wait_peer(3);
  head.server.wait_numbers(100);
  const Time begin = Clock::now();
  head.listener.reset();
  EXPECT_LT(Clock::now() - begin, seconds(30));
  EXPECT_EQ(head.server.count_down(), 4u);
  for (std::thread& thread : threads)
    thread.join();
}

// A child process with a pipe to its stdin and from its stdout.
struct Child {
  pid_t pid = -1;
  int in = -1;
  int out = -1;

  explicit Child(std::vector<std::string> arguments) {
    std::array<int, 2> to{};
    std::array<int, 2> from{};
    EXPECT_EQ(::pipe2(to.data(), O_CLOEXEC), 0);
    EXPECT_EQ(::pipe2(from.data(), O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to[0], 0);
    posix_spawn_file_actions_adddup2(&actions, from[1], 1);
    arguments.insert(arguments.begin(), WEFT_BUILD_DIR "/tests/wire_test_peer");
    std::vector<char*> pointers;
    for (std::string& argument : arguments)
      pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    EXPECT_EQ(::posix_spawn(&pid, pointers[0], &actions, nullptr, pointers.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    ::close(to[0]);
    ::close(from[1]);
    in = to[1];
    out = from[0];
  }
  std::string line() const {
    std::string text;
    for (char c = 0; ::read(out, &c, 1) == 1 && c != '\n';)
      text += c;
    return text;
  }
  ~Child() {
    if (pid > 0) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
    ::close(in);
    ::close(out);
  }
};

TEST(Link, AKilledPeerIsDownAtOnce) {
  Listening head(LinkLimits{.dead_after = seconds(3600)});
  head.bind();
  const Child child({"dial", head.endpoint, good_token});
  const Peer peer = head.server.wait_peer();
  EXPECT_EQ(peer.rank, 6);
  ::kill(child.pid, SIGKILL);
  const Error why = head.server.wait_down(peer.link);
  EXPECT_EQ(why.code, ErrorCode::unavailable);
  EXPECT_THAT(why.message, HasSubstr("lost"));
}

TEST(Link, AKilledListenerIsDownAtOnceForItsDialers) {
  const Child child({"listen", good_token});
  Client client;
  const auto dialer = Dialer::dial(
      {.name = "worker", .endpoint = child.line(), .token = good_token, .limits = {.dead_after = seconds(3600)}},
      client, soon());
  ASSERT_TRUE(dialer) << dialer.error().message;
  ::kill(child.pid, SIGKILL);
  const Error why = client.wait_down();
  EXPECT_EQ(why.code, ErrorCode::unavailable);
  EXPECT_EQ((*dialer)->send(numbered(0)).error().code, ErrorCode::unavailable);
}

TEST(Link, AStoppedPeerIsDownAfterItsSilence) {
  Listening head(LinkLimits{.dead_after = milliseconds(400)});
  head.bind();
  const Child child({"dial", head.endpoint, good_token});
  const Peer peer = head.server.wait_peer();
  ::kill(child.pid, SIGSTOP);
  EXPECT_EQ(head.server.wait_down(peer.link).code, ErrorCode::unavailable);
}

TEST(Link, AnIdleLinkLivesOn) {
  Listening head(LinkLimits{.dead_after = milliseconds(300)});
  head.bind();
  Client client;
  const auto dialer = head.dial(client);
  ASSERT_TRUE(dialer);
  std::promise<void> later;
  head.listener->post_at(Clock::now() + milliseconds(1200), [&] { later.set_value(); });
  later.get_future().wait();
  EXPECT_EQ(head.server.count_down(), 0u);
  ASSERT_TRUE((*dialer)->send(numbered(0)));
  EXPECT_EQ(head.server.wait_numbers(1), numbers_to(1));
}

}  // namespace
}  // namespace weft::wire
