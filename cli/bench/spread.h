// What several repetitions of one measurement came to.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace weft::cli {

struct Spread {
  double median = 0;  // of an even number: the mean of the two in the middle
  double min = 0;
  double max = 0;
};

// Zeros where there are no values.
Spread spread_of(std::vector<double> values);

nlohmann::ordered_json to_json(const Spread& spread);
Spread spread_from(const nlohmann::ordered_json& json);  // what to_json() made

// 0 where there is nothing to divide by: a figure that could not be measured.
constexpr double quotient(double value, double by) noexcept { return by > 0 ? value / by : 0; }

// "12.3 ms (12.1 to 12.9)": with three digits that count, and a factor for the unit.
std::string to_text(const Spread& spread, double factor, const char* unit);

// Three digits that count, and thousands separated: "0.0123", "12.3", "1,234".
std::string number_text(double value);

}  // namespace weft::cli
