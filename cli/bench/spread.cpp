#include "cli/bench/spread.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace weft::cli {

Spread spread_of(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  const double median = values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {.median = median, .min = values.front(), .max = values.back()};
}

nlohmann::ordered_json to_json(const Spread& spread) {
  return {{"median", spread.median}, {"min", spread.min}, {"max", spread.max}};
}

Spread spread_from(const nlohmann::ordered_json& json) {
  return {.median = json["median"], .min = json["min"], .max = json["max"]};
}

std::string number_text(double value) {
  if (value < 100) {
    const int before = value >= 10 ? 2 : 1;
    const int zeros = value > 0 && value < 1 ? static_cast<int>(-std::floor(std::log10(value))) : 0;
    return fmt::format("{:.{}f}", value, std::min(value >= 1 || value == 0 ? 3 - before : 2 + zeros, 9));
  }
  std::string digits = fmt::format("{:.0f}", value);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<std::size_t>(at), ",");
  return digits;
}

std::string to_text(const Spread& spread, double factor, const char* unit) {
  return fmt::format("{} {} ({} to {})", number_text(spread.median * factor), unit, number_text(spread.min * factor),
                     number_text(spread.max * factor));
}

}  // namespace weft::cli
