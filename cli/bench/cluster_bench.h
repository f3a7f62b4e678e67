// What `weft bench latency` and `throughput` share: a real cluster, the same load again and again, limits before each time.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/bench/bench.h"
#include "cli/bench/cost.h"
#include "cli/bench/limits.h"
#include "frontend/bench/load.h"

namespace weft::cli {

struct ClusterBenchOptions {
  BenchOptions bench;
  std::int32_t requests = 1;  // at once
  std::int32_t prompt_tokens = 0;
  std::int32_t output_tokens = 0;
  std::uint64_t seed = 0;  // of the prompts
};

struct ClusterFigures {
  const ClusterBenchOptions& options;
  ModelCost cost;
  const Limits& limits;
  std::vector<frontend::LoadReport> runs;  // one a repetition
};

struct ClusterBench {
  std::string name;
  std::function<int(const Plan&)> threads;  // that work at once
  // The report's own part, and what a person reads of it.
  std::function<nlohmann::ordered_json(const ClusterFigures&)> figures;
  std::function<std::string(const nlohmann::ordered_json& report)> text;
};

// From the options to the exit code. The first request of the cluster, a warm-up of the same length, is where "start" ends.
int run_cluster_bench(ClusterBenchOptions options, const ClusterBench& bench);

// invalid_argument where a request does not fit into the model's context.
Status check_lengths(const ClusterBenchOptions& options, std::int32_t max_context);

}  // namespace weft::cli
