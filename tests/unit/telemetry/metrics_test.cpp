#include "core/telemetry/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <thread>

namespace weft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Metrics, GiveTheSameSeriesForTheSameNameAndLabels) {
  Metrics metrics;
  Counter& counter = metrics.counter("requests_total", {{"a", "1"}, {"b", "2"}});
  EXPECT_EQ(&metrics.counter("requests_total", {{"b", "2"}, {"a", "1"}}), &counter);
  EXPECT_NE(&metrics.counter("requests_total", {{"a", "1"}, {"b", "3"}}), &counter);
  EXPECT_NE(&metrics.counter("requests_total"), &counter);
}

TEST(Metrics, CountUpOnly) {
  Metrics metrics;
  Counter& counter = metrics.counter("requests_total");
  counter.add(2);
  counter.add(0.5);
  counter.add(-1);
  counter.add(std::nan(""));
  EXPECT_EQ(counter.value(), 2.5);
}

TEST(Metrics, SortObservationsIntoBuckets) {
  Metrics metrics;
  const std::array bounds{1.0, 2.0};
  Histogram& histogram = metrics.histogram("step_seconds", {}, bounds);
  for (const double value : {0.5, 1.0, 1.5, 9.0, std::nan("")})
    histogram.observe(value);
  EXPECT_THAT(histogram.counts(), ElementsAre(2, 1, 1));
  EXPECT_EQ(histogram.sum(), 12);
}

TEST(Metrics, RefuseWhatPrometheusWouldAndCountIt) {
  Metrics metrics;
  metrics.counter("used").add(1);
  metrics.gauge("used").set(5);  // another type
  metrics.counter("no spaces").add(1);
  metrics.counter("").add(1);
  metrics.counter("1st").add(1);
  metrics.counter("x", {{"bad-label", "1"}}).add(1);
  const std::array descending{2.0, 1.0};
  metrics.histogram("h", {}, descending).observe(1);
  const auto all = metrics.snapshot();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].name, "used");
  EXPECT_EQ(all[0].value, 1);
  EXPECT_EQ(all[1].name, "metrics_refused_total");
  EXPECT_EQ(all[1].value, 6);
}

TEST(Metrics, HoldABoundedNumberOfSeries) {
  Metrics metrics;
  for (std::size_t i = 0; i < Metrics::max_series + 10; ++i)
    metrics.counter("x", {{"i", std::to_string(i)}}).add(1);
  EXPECT_EQ(metrics.snapshot().size(), Metrics::max_series + 1);  // and the count of the refused
}

TEST(Metrics, AreRightWithManyThreads) {
  Metrics metrics;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&metrics] {
      for (int i = 0; i < 2000; ++i) {
        metrics.counter("c", {{"i", std::to_string(i % 7)}}).add(1);
        metrics.histogram("h").observe(0.001);
        if (i % 100 == 0) metrics.snapshot();
      }
    });
  for (std::thread& thread : threads)
    thread.join();
  double total = 0;
  for (const MetricSnapshot& metric : metrics.snapshot())
    if (metric.name == "c") total += metric.value;
  EXPECT_EQ(total, 8000);
}

TEST(Metrics, RenderAsPrometheusText) {
  Metrics metrics;
  metrics.counter("requests_total", {{"replica", "0"}, {"note", "a \"b\" \\ c\nd"}}).add(3);
  metrics.counter("requests_total", {{"replica", "1"}}).add(4);
  metrics.gauge("kv_usage").set(0.25);
  const std::array bounds{0.5, 1.0};
  Histogram& histogram = metrics.histogram("step_seconds", {{"replica", "0"}}, bounds);
  histogram.observe(0.1);
  histogram.observe(0.7);
  histogram.observe(7);
  EXPECT_EQ(prometheus_text(metrics.snapshot()),
            "# TYPE weft:kv_usage gauge\n"
            "weft:kv_usage 0.25\n"
            "# TYPE weft:requests_total counter\n"
            "weft:requests_total{note=\"a \\\"b\\\" \\\\ c\\nd\",replica=\"0\"} 3\n"
            "weft:requests_total{replica=\"1\"} 4\n"
            "# TYPE weft:step_seconds histogram\n"
            "weft:step_seconds_bucket{replica=\"0\",le=\"0.5\"} 1\n"
            "weft:step_seconds_bucket{replica=\"0\",le=\"1\"} 2\n"
            "weft:step_seconds_bucket{replica=\"0\",le=\"+Inf\"} 3\n"
            "weft:step_seconds_sum{replica=\"0\"} 7.8\n"
            "weft:step_seconds_count{replica=\"0\"} 3\n");
  metrics.gauge("odd").set(std::nan(""));
  EXPECT_THAT(prometheus_text(metrics.snapshot(), ""), HasSubstr("\nodd NaN\n"));
}

}  // namespace
}  // namespace weft
