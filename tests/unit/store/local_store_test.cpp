#include "core/store/local_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store_client_suite.h"

namespace weft::store {
namespace {

TEST(LocalStore, DoesEveryOperation) {
  StoreHost host;
  LocalStore store(host);
  expect_all_operations(store);
}

TEST(LocalStore, WakesAWait) {
  StoreHost host;
  LocalStore store(host);
  expect_wait_is_woken(store);
}

TEST(LocalStore, WaitFailsAtItsDeadlineAndNamesTheKeys) {
  StoreHost host;
  LocalStore store(host);
  expect_wait_names_what_is_missing(store);
}

TEST(LocalStore, CountsExactlyUnderEightThreads) {
  StoreHost host;
  LocalStore store(host);
  expect_counters_are_exact([&](int) -> StoreClient& { return store; }, 8, 500);
}

TEST(LocalStore, EightThreadsMeetAtOneBarrier) {
  StoreHost host;
  std::vector<std::string> keys;
  for (int i = 0; i < 8; ++i)
    keys.push_back("barrier/" + std::to_string(i));
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      LocalStore store(host);
      EXPECT_TRUE(store.set(keys[static_cast<std::size_t>(i)], std::to_string(i), soon()));
      const auto values = store.wait(keys, soon());
      ASSERT_TRUE(values);
      EXPECT_THAT(*values, testing::ElementsAre("0", "1", "2", "3", "4", "5", "6", "7"));
    });
  }
  for (std::thread& thread : threads)
    thread.join();
}

TEST(LocalStore, ClosingTheHostEndsWaitsAndLaterCalls) {
  StoreHost host;
  LocalStore store(host);
  auto waiting = std::async(std::launch::async, [&] { return store.wait({"never"}, Deadline::never()); });
  host.close(Error{.code = ErrorCode::unavailable, .message = "the head is stopping", .retryable = false});
  EXPECT_EQ(waiting.get().error().code, ErrorCode::unavailable);
  EXPECT_EQ(store.set("k", "v", soon()).error().message, "the head is stopping");
}

TEST(LocalStore, RetiringEndsAWaitOnAnotherThread) {
  StoreHost host;
  LocalStore store(host);
  auto waiting = std::async(std::launch::async, [&] { return store.wait({"group/tp/1/x"}, Deadline::never()); });
  host.retire("group/tp/1/", "rank 1 exited");
  EXPECT_EQ(waiting.get().error().code, ErrorCode::aborted);
}

}  // namespace
}  // namespace weft::store
