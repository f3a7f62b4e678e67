// Whenever the ranks die, nothing of the group stays on the machine.
#include <gmock/gmock.h>

#include <fstream>
#include <set>

#include "tests/support/communicator/processes.h"
#include "tests/support/communicator/reference.h"

namespace weft::test {
namespace {

// The names of this plugin's sockets in the kernel's list.
std::set<std::string> names() {
  std::set<std::string> found;
  std::ifstream sockets("/proc/net/unix");
  for (std::string line; std::getline(sockets, line);)
    if (const auto at = line.find("@weft-shm/"); at != std::string::npos) found.insert(line.substr(at));
  return found;
}

// What this process has mapped that a folder would show.
std::string mapped_files() {
  std::string found;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);)
    if (line.find("rw-s") != std::string::npos && line.find("/memfd:") == std::string::npos &&
        line.find("/dev/zero") == std::string::npos)
      found += line + "\n";
  return found;
}

// A child that opens rank `rank` of a group of three.
bool open_and_work(StoreClient& store, std::int32_t rank) {
  auto communicator = Plugin::make("shm");
  auto group = communicator->open(spec_of(store, "doomed/1", rank, 3));
  if (!group) return false;
  Data data(8 << 20);
  for (;;)
    if (!finish((*group)->all_reduce({.data = data.data(), .size = data.size()}, DType::f32, ReduceOp::sum, {})))
      return false;
}

std::string endpoint_in(const std::string& presence) {
  const std::size_t begin = presence.rfind("weft-shm/");
  return "@" + presence.substr(begin, presence.find(' ', begin) - begin);
}

TEST(Leftovers, OfRanksKilledInTheMiddleOfOpenAreNone) {
  SharedStore store;
  std::string endpoint;
  {
    // Rank 2 never comes: the others wait, with memory and socket made.
    Children children(3, [&](std::int32_t child) { return open_and_work(store, child - 1); });
    const auto presence =
        store.wait({"group/doomed/1/shm/rank/0", "group/doomed/1/shm/rank/1"}, Deadline::in(patience));
    ASSERT_TRUE(presence);
    endpoint = endpoint_in(presence->front());
    EXPECT_THAT(names(), testing::Contains(endpoint)) << "bound before it is published";
  }  // SIGKILL
  EXPECT_THAT(names(), testing::Not(testing::Contains(endpoint)));
}

TEST(Leftovers, OfOpenGroupsAreNoNames) {
  SharedStore store;
  Children children(3, [&](std::int32_t rank) { return open_and_work(store, rank); });
  auto communicator = Plugin::make("shm");
  auto group = communicator->open(spec_of(store, "doomed/1", 0, 3));
  ASSERT_TRUE(group) << group.error().message;
  const auto presence = store.get("group/doomed/1/shm/rank/0", Deadline::never());
  ASSERT_TRUE(presence);
  EXPECT_THAT(names(), testing::Not(testing::Contains(endpoint_in(*presence))));
  EXPECT_EQ(mapped_files(), "") << "shared memory has no name";
  // One dies in the middle of all-reduces; this rank is told within a second.
  Data data(8 << 20);
  const Buffer all{.data = data.data(), .size = data.size()};
  for (int round = 0; round < 3; ++round)
    expect_ok(finish((*group)->all_reduce(all, DType::f32, ReduceOp::sum, {})));
  children.kill(2);
  const Time begin_wait = Clock::now();
  Status status;
  while (status)
    status = finish((*group)->all_reduce(all, DType::f32, ReduceOp::sum, {}));
  EXPECT_LT(Clock::now() - begin_wait, std::chrono::seconds(1));
  EXPECT_EQ(status.error().code, ErrorCode::unavailable);
  EXPECT_THAT(status.error().message, testing::HasSubstr("rank 2"));
}

}  // namespace
}  // namespace weft::test
