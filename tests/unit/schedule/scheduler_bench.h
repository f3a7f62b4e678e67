// A scheduler that drives a fake replica, for tests of what it decides.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <vector>

#include "engine/schedule/scheduler.h"
#include "tests/unit/schedule/fake_replica.h"

namespace weft::engine {

inline std::vector<TokenId> prompt_of(int size, int salt = 0) {
  std::vector<TokenId> prompt(static_cast<std::size_t>(size));
  std::iota(prompt.begin(), prompt.end(), salt);
  for (TokenId& id : prompt)
    id = id * 7 % fake_vocabulary;
  return prompt;
}

inline Request request_of(RequestId id, int prompt_size, int max_tokens) {
  Request request;
  request.id = id;
  request.prompt = prompt_of(prompt_size, static_cast<int>(id));
  request.stop.max_tokens = max_tokens;
  return request;
}

// A scheduler with its fake replica and all that came out, by request.
struct Bench {
  explicit Bench(SchedulerOptions options) : scheduler(Scheduler::create(options).value()), replica(options) {}

  Status add(const Request& request) {
    replica.expect(request);
    return scheduler.add(request, now_ms);
  }
  void take() {
    for (const SequenceEvent& event : scheduler.take_events()) {
      EXPECT_EQ(finish.count(event.request), 0u) << "an event after the end of request " << event.request;
      if (event.token) tokens[event.request].push_back(*event.token);
      if (event.finish != FinishReason::none) finish[event.request] = event.finish;
    }
  }
  StepPlan step() {
    const StepPlan plan = scheduler.plan(now_ms);
    const std::vector<TokenId> sampled = replica.run(plan);
    EXPECT_TRUE(scheduler.commit(plan, sampled).has_value());
    EXPECT_THAT(replica.problems(), ::testing::ElementsAre());
    take();
    return plan;
  }
  int drain(int most_steps = 10000) {
    int steps = 0;
    for (; !scheduler.idle() && steps < most_steps; ++steps)
      step();
    EXPECT_TRUE(scheduler.idle());
    return steps;
  }

  Scheduler scheduler;
  FakeReplica replica;
  std::int64_t now_ms = 1000;
  std::map<RequestId, std::vector<TokenId>> tokens;
  std::map<RequestId, FinishReason> finish;
};

inline SchedulerOptions small() {
  return {.max_batch_tokens = 8, .max_requests = 4, .block_size = 4, .blocks = 32, .max_context = 64};
}

// Two sequences that fit alone but not together: 6 blocks of 4, each grows to 5 blocks.
struct Crowded : Bench {
  Crowded() : Bench({.max_batch_tokens = 16, .max_requests = 4, .block_size = 4, .blocks = 6, .max_context = 64}) {
    EXPECT_TRUE(add(request_of(1, 4, 17)));
    EXPECT_TRUE(add(request_of(2, 4, 17)));
  }
  void until_preempted() {
    for (int i = 0; i < 100 && scheduler.stats().preemptions == 0; ++i)
      step();
    ASSERT_EQ(scheduler.stats().preemptions, 1);
    ASSERT_EQ(scheduler.stats().waiting, 1);
  }
};

}  // namespace weft::engine
