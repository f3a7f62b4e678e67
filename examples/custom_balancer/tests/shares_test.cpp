// What the conformance suite cannot know: that shares of tokens follow the speeds, declared or measured. The balancer is
// driven as a router would, on a clock of the test's own.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <deque>
#include <vector>

#include "../weighted.h"

namespace {

constexpr std::array<double, 3> true_speeds{1, 2, 4};

int failures = 0;

void expect(bool holds, const char* what, double found, double wanted) {
  if (holds) return;
  std::printf("FAILED: %s: found %.3f, expected %.3f\n", what, found, wanted);
  ++failures;
}

// 20 to 120 tokens, the same in every run.
std::int32_t length_of(weft::RequestId id) { return static_cast<std::int32_t>(20 + id * 2654435761U % 101); }

std::vector<weft::ReplicaView> replicas() {
  std::vector<weft::ReplicaView> made;
  for (weft::ReplicaId id = 0; id < static_cast<weft::ReplicaId>(true_speeds.size()); ++id)
    made.push_back({.id = id, .incarnation = 1, .eligible = true, .capacity = 1'000'000});
  return made;
}

weighted::Weighted balancer(const std::vector<std::string>& speeds, bool measure) {
  return weighted::Weighted(*weighted::Speeds::read(speeds, measure));
}

void expect_shares(const std::array<double, 3>& tokens, double tolerance, const char* what) {
  const double all = tokens[0] + tokens[1] + tokens[2];
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const double wanted = true_speeds[i] / 7;
    expect(std::abs(tokens[i] / all - wanted) <= tolerance * wanted, what, tokens[i] / all, wanted);
  }
}

void declared_speeds_are_the_shares() {
  auto picks = balancer({"1=2", "2=4"}, false);
  const auto table = replicas();
  std::array<double, 3> tokens{};
  for (weft::RequestId id = 1; id <= 5000; ++id) {
    const auto decision = picks.pick({.id = id, .prompt_tokens = 10, .max_tokens = length_of(id)}, {table}, {});
    tokens[static_cast<std::size_t>(decision->replica)] += 10 + length_of(id);
  }
  expect_shares(tokens, 0.02, "shares of declared speeds");
}

// Replicas that run up to eight requests side by side, each a token further in every tick that the replica's speed allows.
class Simulation {
 public:
  explicit Simulation(weighted::Weighted& picks) : picks_(picks) {}

  void arrive(weft::RequestId id) {
    const auto decision = picks_.pick({.id = id, .prompt_tokens = 0, .max_tokens = length_of(id)}, {table_}, now_);
    const auto index = static_cast<std::size_t>(decision->replica);
    queues_[index].push_back({id, 0});
    given[index] += length_of(id);
    tell(weft::Event::Kind::dispatched, index, id, 0);
  }

  void tick() {
    now_ += std::chrono::milliseconds(10);
    for (std::size_t index = 0; index < true_speeds.size(); ++index)
      for (credit_[index] += true_speeds[index]; credit_[index] >= 4; credit_[index] -= 4)
        step(index);
  }

  std::array<double, 3> given{};

 private:
  struct Running {
    weft::RequestId id;
    std::int32_t generated;
  };

  void step(std::size_t index) {
    auto& queue = queues_[index];
    for (std::size_t i = 0; i < std::min<std::size_t>(8, queue.size()); ++i) {
      ++queue[i].generated;
      const bool ended = queue[i].generated == length_of(queue[i].id);
      tell(ended ? weft::Event::Kind::finished : weft::Event::Kind::progress, index, queue[i].id, queue[i].generated);
    }
    queue.erase(
        std::remove_if(queue.begin(), queue.end(), [](const Running& r) { return r.generated == length_of(r.id); }),
        queue.end());
  }

  void tell(weft::Event::Kind kind, std::size_t index, weft::RequestId id, std::int32_t generated) {
    picks_.observe({.kind = kind,
                    .replica = static_cast<weft::ReplicaId>(index),
                    .incarnation = 1,
                    .request = id,
                    .generated = generated},
                   now_);
  }

  weighted::Weighted& picks_;
  const std::vector<weft::ReplicaView> table_ = replicas();
  std::array<std::deque<Running>, 3> queues_;
  std::array<double, 3> credit_{};
  weft::Time now_{};
};

void measured_speeds_become_the_shares() {
  auto picks = balancer({}, true);
  Simulation simulation(picks);
  weft::RequestId next = 1;
  // About as many tokens arrive as the three can make: 8 x (1 + 2 + 4) / 4 a tick.
  for (int tick = 0; tick < 20'000; ++tick) {
    if (tick == 5'000) simulation.given = {};  // by now the speeds are known
    if (tick % 5 == 0) simulation.arrive(next++);
    simulation.tick();
  }
  expect_shares(simulation.given, 0.1, "shares of measured speeds");
}

void wrong_entries_are_named() {
  for (const char* entry : {"", "0", "0=", "=2", "x=2", "0=fast", "0=0", "0=-1", "0=1e9", "0=nan", "-1=2", "0=2 "}) {
    const auto read = weighted::Speeds::read({entry}, false);
    expect(!read && read.error().message.find("expected REPLICA=SPEED") != std::string::npos, entry, 0, 1);
  }
  expect(!weighted::Speeds::read({"0=2", "0=3"}, false), "a replica that is there twice", 0, 1);
}

}  // namespace

int main() {
  declared_speeds_are_the_shares();
  measured_speeds_become_the_shares();
  wrong_entries_are_named();
  if (failures == 0) std::puts("shares of tokens follow the speeds");
  return failures == 0 ? 0 : 1;
}
