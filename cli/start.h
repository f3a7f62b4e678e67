// What every command that starts a cluster shares: interrupts while it starts, the wait until it is ready, where that time
// went, and the settlement at the end.
#pragma once

#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/head.h"
#include "cli/interrupts.h"
#include "cli/run_guard.h"

namespace weft::cli {

// What workers get to end in, once the work is done.
constexpr Duration stop_grace = std::chrono::seconds(2);

// An interrupt while the cluster starts stops it; afterwards the command's work alone hears of it.
class StartingCluster {
 public:
  void begin(Cluster& cluster);
  void stop();  // from the thread that hears signals
  bool end();   // whether it was stopped

 private:
  std::mutex mutex_;  // guards what follows
  Cluster* cluster_ = nullptr;
  bool stopped_ = false;
  bool ended_ = false;
};

// While one lives, interrupts are told to `heard`, which may use what was made before it.
class Listening {
 public:
  Listening(Interrupts& interrupts, std::function<void()> heard, Duration patience) : interrupts_(interrupts) {
    interrupts_.listen(std::move(heard), patience);
  }
  ~Listening() { interrupts_.stop_listening(); }
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;

 private:
  Interrupts& interrupts_;
};

// How long the end may take after a second interrupt.
Duration patience_of(const Config& config);

// Seconds, each the longest of the replicas.
struct StartTimes {
  Time start = Clock::now();
  double plan = 0;
  double launch = 0;
  double join = 0;
  double load = 0;
  double ready = 0;  // from the start of the program
};

double seconds_since(Time then);

// All of it outlives the head.
struct StartSpec {
  std::string_view component;  // of log lines
  Setup& setup;
  RouterEvents& events;
  std::function<void(const Error&)> lost;  // see Head::start
  RunGuard& guard;
  StartingCluster& starting;
  StartTimes& times;
};
// A cluster that is ready. Null: it told why on standard error, and `exit_code` says what to return.
std::unique_ptr<Head> start_cluster(StartSpec spec, int& exit_code);

// The leaders' own counters against the ledger's: what was delivered is what was recorded.
Status settle(Head& head, const Config& config, std::string_view component);

// Seconds by phase, and from the start of the program to the first token; `first_token`: from the first request's submission.
nlohmann::ordered_json start_json(const StartTimes& times, double first_token);
// "start: plan 33 ms, ...; first token 94 ms", without a line's end.
std::string start_text(const nlohmann::ordered_json& start);
// The leaders' steps, by replica: how many, how long, and how much of it in collectives.
nlohmann::ordered_json engines_json(const Router& router);
std::string engines_text(const nlohmann::ordered_json& engines);  // one line a replica that made a step

}  // namespace weft::cli
