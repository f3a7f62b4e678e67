// Metrics by Prometheus names, without the "weft:" prefix: "requests_total", "step_seconds".
//
//   Counter& requests = metrics.counter("requests_total", {{"replica", "0"}});   // look up once, keep the
//   reference requests.add(1); std::string page = prometheus_text(metrics.snapshot());
//
// Every method may be called from any thread. References live as long as the registry. Nothing here throws or
// fails: a name that is not legal, one already used by another type, or a series beyond max_series gets an
// object that counts into nothing, and `metrics_refused_total` says how often.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft {

using MetricLabels = std::vector<std::pair<std::string, std::string>>;

class Counter {
 public:
  // Negative values and NaN are ignored.
  void add(double value) noexcept;
  double value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

class Gauge {
 public:
  void set(double value) noexcept { value_.store(value, std::memory_order_relaxed); }
  double value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

class Histogram {
 public:
  // Upper bounds, inclusive, ascending; one more bucket holds the rest.
  explicit Histogram(std::span<const double> bounds);
  // NaN is ignored.
  void observe(double value) noexcept;
  const std::vector<double>& bounds() const noexcept { return bounds_; }
  std::vector<std::uint64_t> counts() const;  // a bucket, not cumulative; bounds().size() + 1 of them
  double sum() const noexcept { return sum_.load(std::memory_order_relaxed); }

 private:
  std::vector<double> bounds_;
  std::vector<std::atomic<std::uint64_t>> counts_;
  std::atomic<double> sum_{0};
};

// One series as it was at the moment of the snapshot.
struct MetricSnapshot {
  enum class Type : std::uint8_t { counter = 0, gauge = 1, histogram = 2 };
  std::string name;
  MetricLabels labels;  // sorted by name
  Type type = Type::counter;
  double value = 0;                   // counter, gauge; a histogram's sum
  std::vector<double> bounds;         // histogram
  std::vector<std::uint64_t> counts;  // histogram: a bucket, not cumulative
};

class Metrics {
 public:
  static constexpr std::size_t max_series = 10'000;

  Metrics();
  Counter& counter(std::string_view name, const MetricLabels& labels = {}) noexcept;
  Gauge& gauge(std::string_view name, const MetricLabels& labels = {}) noexcept;
  // Bounds count at the first use of a name; empty: 10 us to 100 s in steps of 1, 2.5, 5 (for seconds).
  Histogram& histogram(std::string_view name, const MetricLabels& labels = {},
                       std::span<const double> bounds = {}) noexcept;
  std::vector<MetricSnapshot> snapshot() const;  // by name, then by labels

 private:
  using Type = MetricSnapshot::Type;
  struct Series {
    MetricLabels labels;
    std::unique_ptr<Counter> counter;
    std::unique_ptr<Gauge> gauge;
    std::unique_ptr<Histogram> histogram;
  };
  struct Family {
    Type type = Type::counter;
    std::vector<double> bounds;
    std::map<std::string, Series, std::less<>> series;  // by rendered labels
  };
  Series* find(std::string_view name, const std::string& key, Type type) noexcept;
  Series& series(std::string_view name, const MetricLabels& labels, Type type, std::span<const double> bounds) noexcept;
  Series* insert(std::string_view name, MetricLabels labels, const std::string& key, Type type,
                 std::span<const double> bounds);

  mutable std::shared_mutex mutex_;  // guards families_ and series_count_; values are atomic
  std::map<std::string, Family, std::less<>> families_;
  std::size_t series_count_ = 0;
  Counter refused_;
  Series discarded_;  // what a refused metric writes to
};

// The text format of Prometheus 0.0.4, every name prefixed.
std::string prometheus_text(const std::vector<MetricSnapshot>& snapshot, std::string_view prefix = "weft:");

}  // namespace weft
