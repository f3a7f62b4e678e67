// How ranks come by their memory, and who does not.
#include <gmock/gmock.h>

#include <sstream>

#include "plugins/comm_shm/handshake.h"
#include "tests/support/communicator/ranks.h"

namespace weft::test {
namespace {

using testing::HasSubstr;

// The presence that a rank on another machine, in another network namespace or of another user would leave.
void expect_refused(const std::function<void(std::vector<std::string>&)>& move, const std::string& why) {
  store::StoreHost host;
  auto communicator = Plugin::make("shm");
  on_threads(2, [&](std::int32_t rank) {
    store::LocalStore store(host);
    if (rank == 0) {
      GroupSpec spec = spec_of(store, "apart/1", 0, 2);
      spec.members = {"rank 0 (here)", "rank 1 (there)"};
      const auto group = communicator->open(spec);
      ASSERT_FALSE(group);
      EXPECT_EQ(group.error().code, ErrorCode::failed_precondition);
      EXPECT_THAT(group.error().message, HasSubstr("rank 1 (there) is " + why));
      EXPECT_THAT(group.error().message, HasSubstr("choose another communicator"));
      return;
    }
    const auto presence = store.wait({"group/apart/1/shm/rank/0"}, Deadline::in(patience));
    ASSERT_TRUE(presence);
    const std::size_t end = (*presence)[0].find('\n');
    std::istringstream words((*presence)[0].substr(end + 1));
    std::vector<std::string> details;
    for (std::string word; words >> word;)
      details.push_back(word);
    move(details);
    expect_ok(store.set("group/apart/1/shm/rank/1",
                        (*presence)[0].substr(0, end + 1) + details[0] + " " + details[1] + " " + details[2] + " - -",
                        Deadline::in(patience)));
  });
}

TEST(Assembly, RefusesRanksThatCannotShareMemory) {
  expect_refused([](auto& details) { details[0] = "another-boot"; }, "on another machine than rank 0 (here)");
  expect_refused([](auto& details) { details[1] = "1"; }, "in another network namespace");
  expect_refused([](auto& details) { details[2] = "4242"; }, "of another user");
}

TEST(Assembly, TurnsAwayWhoDoesNotKnowTheToken) {
  store::StoreHost host;
  auto communicator = Plugin::make("shm");
  on_threads(2, [&](std::int32_t rank) {
    store::LocalStore store(host);
    std::vector<plugins::Descriptor> strangers;
    if (rank == 1) {
      const auto presence = store.wait({"group/guests/1/shm/rank/0"}, Deadline::in(patience));
      ASSERT_TRUE(presence);
      const std::size_t begin = presence->front().rfind("weft-shm/");
      ASSERT_NE(begin, std::string::npos);
      const std::string endpoint = presence->front().substr(begin, presence->front().find(' ', begin) - begin);
      for (int i = 0; i < 3; ++i) {
        auto socket = comm_shm::connect_to(endpoint, Deadline::in(patience));
        ASSERT_TRUE(socket) << socket.error().message;
        comm_shm::Hello lie{.rank = 1, .size = 2};
        lie.token.fill('0');
        const int file[] = {socket->get()};
        // One says nothing, one shows another token, one says nonsense.
        if (i == 1) expect_ok(comm_shm::send_message(*socket, std::as_bytes(std::span(&lie, 1)), file));
        if (i == 2) expect_ok(comm_shm::send_message(*socket, std::as_bytes(std::span("nonsense")), file));
        strangers.push_back(std::move(*socket));
      }
    }
    auto group = communicator->open(spec_of(store, "guests/1", rank, 2));
    ASSERT_TRUE(group) << group.error().message;
    expect_ok(finish((*group)->barrier({})));
    expect_ok((*group)->close(Deadline::in(patience)));
  });
  EXPECT_EQ(host.size(), 0u);
}

TEST(Assembly, NamesARankThatMetAndThenWentAway) {
  store::StoreHost host;
  store::LocalStore store(host);
  auto communicator = Plugin::make("shm");
  std::thread other([&] {
    store::LocalStore client(host);
    const auto presence = client.wait({"group/gone/1/shm/rank/0"}, Deadline::in(patience));
    if (presence) expect_ok(client.set("group/gone/1/shm/rank/1", presence->front(), Deadline::in(patience)));
  });
  GroupSpec spec = spec_of(store, "gone/1", 0, 2);
  spec.deadline = Deadline::in(std::chrono::milliseconds(300));
  const auto group = communicator->open(spec);
  other.join();
  ASSERT_FALSE(group);
  EXPECT_EQ(group.error().code, ErrorCode::deadline_exceeded);
  EXPECT_THAT(group.error().message, HasSubstr("rank 1 did not connect in time"));
}

TEST(Assembly, RefusesAnOptionOfTooLittleMemory) {
  store::StoreHost host;
  auto communicator = Plugin::make("shm", {{.key = "memory", .value = std::string("1KiB"), .where = "test"}});
  on_threads(2, [&](std::int32_t rank) {
    store::LocalStore store(host);
    const auto group = communicator->open(spec_of(store, "little/1", rank, 2));
    ASSERT_FALSE(group);
    EXPECT_EQ(group.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(group.error().message, HasSubstr("memory = 1024 bytes"));
  });
}

}  // namespace
}  // namespace weft::test
