// Replicas that serve in virtual time, each its requests one after the other at so many tokens a second. The router's
// rule holds: a replica with as many requests as its capacity is not eligible.
#pragma once

#include <map>
#include <vector>

#include "tests/conformance/balancer/fleet.h"

namespace weft::conformance {

struct Served {
  double makespan = 0;                // seconds until the last has ended
  std::map<ReplicaId, int> requests;  // by replica
};

struct Work {
  std::int32_t prompt = 0;
  std::int32_t max_tokens = 0;

  double tokens() const { return double{static_cast<double>(prompt)} + static_cast<double>(max_tokens); }
};

// `rates`: tokens a second of the fleet's rows, in their order. All the work is there from the start.
Served simulate(Fleet& fleet, const std::vector<Work>& work, const std::vector<double>& rates);

double total(const std::vector<Work>& work);
double longest(const std::vector<Work>& work);
// Short ones with a few long among them, as chats with documents.
std::vector<Work> skewed_work(Context& context, int count);

}  // namespace weft::conformance
