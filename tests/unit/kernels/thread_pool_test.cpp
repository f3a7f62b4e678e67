#include "kernels/cpu/thread_pool.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <array>
#include <atomic>

#include "weft/time.h"

namespace weft {
namespace {

TEST(ThreadPool, EveryPartIsDoneOnceBeforeRunReturns) {
  for (const int threads : {1, 2, 3, 8}) {
    auto pool = ThreadPool::make(threads, {});
    ASSERT_TRUE(pool) << pool.error().message;
    EXPECT_EQ((*pool)->threads(), threads);
    for (int round = 0; round < 300; ++round) {
      const std::int64_t parts = round % 40;
      std::array<std::atomic<int>, 40> done{};
      std::atomic<bool> in_range{true};
      (*pool)->run(parts, [&](std::int64_t part, int thread) {
        if (part < 0 || part >= parts || thread < 0 || thread >= threads) in_range = false;
        done[static_cast<std::size_t>(part)].fetch_add(1);
      });
      EXPECT_TRUE(in_range);
      for (std::int64_t part = 0; part < 40; ++part)
        ASSERT_EQ(done[static_cast<std::size_t>(part)].load(), part < parts ? 1 : 0) << part << " of " << parts;
    }
  }
}

TEST(ThreadPool, PartsRunAtTheSameTime) {
  auto pool = ThreadPool::make(3, {});
  ASSERT_TRUE(pool);
  // Each part waits for the other two: only three threads together can end this.
  std::atomic<int> there{0};
  const Deadline deadline = Deadline::in(std::chrono::seconds(30));
  (*pool)->run(3, [&](std::int64_t, int) {
    there.fetch_add(1);
    while (there.load() < 3 && !deadline.passed())
      std::this_thread::yield();
  });
  EXPECT_EQ(there.load(), 3);
  EXPECT_FALSE(deadline.passed());
}

TEST(ThreadPool, IdleWorkersSleepAndWakeAgain) {
  auto pool = ThreadPool::make(4, {});
  ASSERT_TRUE(pool);
  for (int round = 0; round < 3; ++round) {
    std::atomic<int> done{0};
    (*pool)->run(16, [&](std::int64_t, int) { done.fetch_add(1); });
    EXPECT_EQ(done.load(), 16);
    const Deadline deadline = Deadline::in(std::chrono::seconds(30));
    while ((*pool)->sleeping() < 3 && !deadline.passed())
      std::this_thread::yield();
    EXPECT_EQ((*pool)->sleeping(), 3);
  }
}

TEST(ThreadPool, WorkersStayOnTheCpusTheyAreGiven) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  ASSERT_EQ(sched_getaffinity(0, sizeof allowed, &allowed), 0);
  int cpu = 0;
  while (!CPU_ISSET(static_cast<std::size_t>(cpu), &allowed))
    ++cpu;
  const std::array<int, 2> cpus{cpu, cpu};
  auto pool = ThreadPool::make(2, cpus);
  ASSERT_TRUE(pool);
  std::atomic<int> there{0};
  std::atomic<int> worker_cpus{0};
  const Deadline deadline = Deadline::in(std::chrono::seconds(30));
  (*pool)->run(2, [&](std::int64_t, int thread) {
    there.fetch_add(1);
    while (there.load() < 2 && !deadline.passed())
      std::this_thread::yield();
    if (thread == 0) return;
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_ISSET(static_cast<std::size_t>(cpu), &set))
      worker_cpus = CPU_COUNT(&set);
  });
  EXPECT_EQ(worker_cpus.load(), 1);
}

TEST(ThreadPool, NoThreadsAreRefused) {
  const auto pool = ThreadPool::make(0, {});
  ASSERT_FALSE(pool);
  EXPECT_EQ(pool.error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace weft
