#include <fmt/format.h>

#include <cmath>

#include "core/telemetry/metrics.h"

namespace weft {
namespace {

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

std::string escaped(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

// {a="1",le="0.5"}; nothing where there are none. `le` is the bucket's bound, empty for other lines.
std::string label_set(const MetricLabels& labels, std::string_view le) {
  std::string out;
  for (const auto& [name, value] : labels)
    out += fmt::format("{}{}=\"{}\"", out.empty() ? "" : ",", name, escaped(value));
  if (!le.empty()) out += fmt::format("{}le=\"{}\"", out.empty() ? "" : ",", le);
  return out.empty() ? out : "{" + out + "}";
}

std::string_view type_name(MetricSnapshot::Type type) {
  switch (type) {
    case MetricSnapshot::Type::counter: return "counter";
    case MetricSnapshot::Type::gauge: return "gauge";
    case MetricSnapshot::Type::histogram: return "histogram";
  }
  return "untyped";
}

void append_histogram(std::string& page, const std::string& name, const MetricSnapshot& metric) {
  std::uint64_t cumulative = 0;
  for (std::size_t i = 0; i < metric.counts.size(); ++i) {
    cumulative += metric.counts[i];
    const std::string le = i < metric.bounds.size() ? number(metric.bounds[i]) : "+Inf";
    page += fmt::format("{}_bucket{} {}\n", name, label_set(metric.labels, le), cumulative);
  }
  page += fmt::format("{}_sum{} {}\n", name, label_set(metric.labels, {}), number(metric.value));
  page += fmt::format("{}_count{} {}\n", name, label_set(metric.labels, {}), cumulative);
}

}  // namespace

std::string prometheus_text(const std::vector<MetricSnapshot>& snapshot, std::string_view prefix) {
  std::string page;
  std::string_view last;
  for (const MetricSnapshot& metric : snapshot) {
    const std::string name = fmt::format("{}{}", prefix, metric.name);
    if (metric.name != last) page += fmt::format("# TYPE {} {}\n", name, type_name(metric.type));
    last = metric.name;
    if (metric.type == MetricSnapshot::Type::histogram)
      append_histogram(page, name, metric);
    else
      page += fmt::format("{}{} {}\n", name, label_set(metric.labels, {}), number(metric.value));
  }
  return page;
}

}  // namespace weft
