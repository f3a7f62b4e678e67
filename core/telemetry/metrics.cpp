#include "core/telemetry/metrics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <mutex>

namespace weft {
namespace {

constexpr std::array default_bounds{1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2,
                                    5e-2, 0.1,    0.25, 0.5,  1.0,    2.5,  5.0,  10.0,   25.0, 50.0, 100.0};

bool is_word(std::string_view text) {
  if (text.empty() || text.size() > 200) return false;
  if (text.front() >= '0' && text.front() <= '9') return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

bool ascending(std::span<const double> bounds) {
  for (std::size_t i = 0; i < bounds.size(); ++i)
    if (!std::isfinite(bounds[i]) || (i > 0 && bounds[i] <= bounds[i - 1])) return false;
  return true;
}

// Labels are few and equal sets must meet whatever their order; neither separator can stand in a label's
// name.
std::string key_of(const MetricLabels& sorted) {
  std::string key;
  for (const auto& [name, value] : sorted) {
    key += name;
    key += '=';
    key += std::to_string(value.size());
    key += ':';
    key += value;
  }
  return key;
}

}  // namespace

void Counter::add(double value) noexcept {
  if (value > 0) value_.fetch_add(value, std::memory_order_relaxed);
}

Histogram::Histogram(std::span<const double> bounds)
    : bounds_(bounds.begin(), bounds.end()), counts_(bounds.size() + 1) {}

void Histogram::observe(double value) noexcept {
  if (std::isnan(value)) return;
  const auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  counts_[static_cast<std::size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

std::vector<std::uint64_t> Histogram::counts() const {
  std::vector<std::uint64_t> counts;
  for (const auto& count : counts_)
    counts.push_back(count.load(std::memory_order_relaxed));
  return counts;
}

Metrics::Metrics()
    : discarded_{.labels = {},
                 .counter = std::make_unique<Counter>(),
                 .gauge = std::make_unique<Gauge>(),
                 .histogram = std::make_unique<Histogram>(std::span<const double>{})} {}

Counter& Metrics::counter(std::string_view name, const MetricLabels& labels) noexcept {
  return *series(name, labels, Type::counter, {}).counter;
}

Gauge& Metrics::gauge(std::string_view name, const MetricLabels& labels) noexcept {
  return *series(name, labels, Type::gauge, {}).gauge;
}

Histogram& Metrics::histogram(std::string_view name, const MetricLabels& labels,
                              std::span<const double> bounds) noexcept {
  return *series(name, labels, Type::histogram, bounds).histogram;
}

Metrics::Series* Metrics::find(std::string_view name, const std::string& key, Type type) noexcept {
  const auto family = families_.find(name);
  if (family == families_.end() || family->second.type != type) return nullptr;
  const auto found = family->second.series.find(key);
  return found == family->second.series.end() ? nullptr : &found->second;
}

Metrics::Series& Metrics::series(std::string_view name, const MetricLabels& labels, Type type,
                                 std::span<const double> bounds) noexcept {
  try {
    MetricLabels sorted = labels;
    std::sort(sorted.begin(), sorted.end());
    const std::string key = key_of(sorted);
    {
      const std::shared_lock lock(mutex_);
      if (Series* found = find(name, key, type)) return *found;
    }
    const std::unique_lock lock(mutex_);
    if (Series* found = find(name, key, type)) return *found;
    if (Series* made = insert(name, std::move(sorted), key, type, bounds)) return *made;
  } catch (...) {  // out of memory: the figure is lost, the caller goes on
  }
  refused_.add(1);
  return discarded_;
}

Metrics::Series* Metrics::insert(std::string_view name, MetricLabels labels, const std::string& key, Type type,
                                 std::span<const double> bounds) {
  if (!is_word(name) || series_count_ >= max_series || !ascending(bounds)) return nullptr;
  for (const auto& [label, value] : labels)
    if (!is_word(label)) return nullptr;
  const auto existing = families_.find(name);
  if (existing != families_.end() && existing->second.type != type) return nullptr;
  if (bounds.empty()) bounds = default_bounds;
  Family& family = existing != families_.end() ? existing->second : families_[std::string(name)];
  if (family.series.empty()) {
    family.type = type;
    if (type == Type::histogram) family.bounds.assign(bounds.begin(), bounds.end());
  }
  Series made{.labels = std::move(labels), .counter = nullptr, .gauge = nullptr, .histogram = nullptr};
  if (type == Type::counter) made.counter = std::make_unique<Counter>();
  if (type == Type::gauge) made.gauge = std::make_unique<Gauge>();
  if (type == Type::histogram) made.histogram = std::make_unique<Histogram>(family.bounds);
  ++series_count_;
  return &family.series.emplace(key, std::move(made)).first->second;
}

std::vector<MetricSnapshot> Metrics::snapshot() const {
  std::vector<MetricSnapshot> all;
  const std::shared_lock lock(mutex_);
  for (const auto& [name, family] : families_) {
    for (const auto& [key, series] : family.series) {
      MetricSnapshot one{.name = name, .labels = series.labels, .type = family.type, .value = 0};
      if (series.counter) one.value = series.counter->value();
      if (series.gauge) one.value = series.gauge->value();
      if (series.histogram) {
        one.value = series.histogram->sum();
        one.bounds = series.histogram->bounds();
        one.counts = series.histogram->counts();
      }
      all.push_back(std::move(one));
    }
  }
  if (refused_.value() > 0)
    all.push_back({.name = "metrics_refused_total", .type = Type::counter, .value = refused_.value()});
  return all;
}

}  // namespace weft
