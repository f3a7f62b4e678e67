// What every StoreClient must do, whatever carries it: run on LocalStore and on RemoteStore.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <string>
#include <thread>
#include <vector>

#include "weft/store_client.h"

namespace weft::store {

inline Deadline soon() { return Deadline::in(std::chrono::seconds(60)); }

inline void expect_all_operations(StoreClient& store) {
  using testing::ElementsAre;
  const std::string bytes("a\0b\xff", 4);
  EXPECT_TRUE(store.set("k", bytes, soon()));
  EXPECT_EQ(store.get("k", soon()).value(), bytes);
  EXPECT_EQ(store.get("none", soon()).error().code, ErrorCode::not_found);
  EXPECT_EQ(store.add("n", 3, soon()).value(), 3);
  EXPECT_EQ(store.add("n", -5, soon()).value(), -2);
  EXPECT_EQ(store.compare_and_set("c", std::nullopt, "one", soon()).value(), "one");
  EXPECT_EQ(store.compare_and_set("c", "other", "two", soon()).value(), "one");
  EXPECT_EQ(store.compare_and_set("c", "one", "two", soon()).value(), "two");
  EXPECT_THAT(store.list("", soon()).value(), ElementsAre("c", "k", "n"));
  EXPECT_THAT(store.wait({"n", "c"}, soon()).value(), ElementsAre("-2", "two"));
  EXPECT_TRUE(store.wait({}, soon()).value().empty());
  EXPECT_TRUE(store.remove("c", soon()).value());
  EXPECT_FALSE(store.remove("c", soon()).value());
  EXPECT_EQ(store.remove_prefix("", soon()).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(store.remove_prefix("k", soon()).value(), 1);
  EXPECT_EQ(store.set("\n", "", soon()).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(store.set("k", std::string((1u << 20) + 1, 'x'), soon()).error().code, ErrorCode::invalid_argument);
}

inline void expect_wait_is_woken(StoreClient& store) {
  auto values = std::async(std::launch::async, [&] { return store.wait({"w/a", "w/b"}, soon()); });
  EXPECT_TRUE(store.set("w/b", "2", soon()));
  EXPECT_TRUE(store.set("w/a", "1", soon()));
  EXPECT_THAT(values.get().value(), testing::ElementsAre("1", "2"));
}

inline void expect_wait_names_what_is_missing(StoreClient& store) {
  EXPECT_TRUE(store.set("r/1", "x", soon()));
  const auto result = store.wait({"r/0", "r/1", "r/2"}, Deadline::in(std::chrono::seconds(2)));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::deadline_exceeded);
  EXPECT_THAT(result.error().message, testing::HasSubstr("'r/0', 'r/2'"));
}

// `clients` threads each add `rounds` times to one key by add() and to another by compare_and_set().
template <class MakeClient>
void expect_counters_are_exact(MakeClient client, int clients, int rounds) {
  std::vector<std::thread> threads;
  for (int i = 0; i < clients; ++i) {
    threads.emplace_back([&, i] {
      StoreClient& store = client(i);
      for (int round = 0; round < rounds; ++round) {
        ASSERT_TRUE(store.add("added", 1, soon()));
        auto held = store.compare_and_set("swapped", std::nullopt, "0", soon());
        for (bool done = false; !done;) {
          ASSERT_TRUE(held);
          const std::string before = *held;
          const std::string mine = std::to_string(std::stoll(before) / 16 * 16 + 16 + i);
          held = store.compare_and_set("swapped", before, mine, soon());
          done = held && *held == mine;
        }
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  StoreClient& store = client(0);
  EXPECT_EQ(store.get("added", soon()).value(), std::to_string(clients * rounds));
  EXPECT_EQ(std::stoll(store.get("swapped", soon()).value()) / 16, clients * rounds);
}

}  // namespace weft::store
