#include "speeds.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace weighted {
namespace {

// Beyond this a declaration is a slip of the pen, and a measurement an accident that must not starve a replica.
constexpr double slowest = 0.01;
constexpr double fastest = 100;
constexpr double measured_limit = 4;  // times the mean, or a part of it
constexpr double smoothing = 0.05;    // a new figure's part in the average: some twenty tokens count

}  // namespace

weft::Result<Speeds> Speeds::read(const std::vector<std::string>& entries, bool measure) {
  Speeds speeds;
  speeds.measure_ = measure;
  for (const std::string& entry : entries) {
    weft::ReplicaId replica = -1;
    double speed = 0;
    const char* const end = entry.data() + entry.size();
    const auto id = std::from_chars(entry.data(), end, replica);
    const bool assigned = id.ec == std::errc() && id.ptr != end && *id.ptr == '=';
    const auto value = assigned ? std::from_chars(id.ptr + 1, end, speed) : id;
    if (!assigned || value.ec != std::errc() || value.ptr != end || replica < 0 ||
        !(speed >= slowest && speed <= fastest))
      return weft::fail(
          weft::ErrorCode::invalid_argument,
          "option speeds: '" + entry + "': expected REPLICA=SPEED, a speed from 0.01 to 100, as in \"0=2.5\"");
    if (!speeds.declared_.emplace(replica, speed).second)
      return weft::fail(weft::ErrorCode::invalid_argument,
                        "option speeds: replica " + std::to_string(replica) + " is there twice");
  }
  return speeds;
}

double Speeds::of(weft::ReplicaId replica) const {
  if (const auto found = declared_.find(replica); found != declared_.end()) return found->second;
  const auto found = seconds_a_token_.find(replica);
  if (found == seconds_a_token_.end()) return 1;  // as fast as the mean of those that are known
  const double mean = sum_ / static_cast<double>(seconds_a_token_.size());
  return std::clamp(mean / found->second, 1 / measured_limit, measured_limit);
}

void Speeds::measured(weft::ReplicaId replica, double seconds_a_token) {
  if (!measure_ || !std::isfinite(seconds_a_token) || seconds_a_token <= 0 || declared_.contains(replica)) return;
  const auto [at, first] = seconds_a_token_.try_emplace(replica, seconds_a_token);
  const double before = first ? 0 : at->second;
  if (!first) at->second += smoothing * (seconds_a_token - at->second);
  sum_ += at->second - before;
}

}  // namespace weighted
