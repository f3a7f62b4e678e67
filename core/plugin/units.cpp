#include "core/plugin/units.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

namespace weft {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t factor;
};
constexpr std::int64_t second = 1'000'000'000;
// Ascending: format_* walks them from the end.
constexpr std::array<Unit, 7> duration_units{{{"ns", 1},
                                              {"us", 1'000},
                                              {"ms", 1'000'000},
                                              {"s", second},
                                              {"m", 60 * second},
                                              {"h", 3'600 * second},
                                              {"d", 86'400 * second}}};
constexpr std::array<Unit, 5> binary_units{{{"B", 1},
                                            {"KiB", std::int64_t{1} << 10},
                                            {"MiB", std::int64_t{1} << 20},
                                            {"GiB", std::int64_t{1} << 30},
                                            {"TiB", std::int64_t{1} << 40}}};
constexpr std::array<Unit, 11> byte_units{{{"", 1},
                                           {"B", 1},
                                           {"kB", 1'000},
                                           {"KB", 1'000},
                                           {"MB", 1'000'000},
                                           {"GB", 1'000'000'000},
                                           {"TB", 1'000'000'000'000},
                                           {"KiB", std::int64_t{1} << 10},
                                           {"MiB", std::int64_t{1} << 20},
                                           {"GiB", std::int64_t{1} << 30},
                                           {"TiB", std::int64_t{1} << 40}}};

struct Words {
  std::string_view what;     // "duration"
  std::string_view example;  // "\"5s\" or \"200ms\""
};

tl::unexpected<Error> bad(const Words& words, std::string_view text, std::string_view why) {
  return fail(ErrorCode::invalid_argument,
              fmt::format("'{}' is not a {}: {}; write it as in {}", text, words.what, why, words.example));
}

// number * factor, exactly where the number is whole and rounded where it has a fraction. Negative: does not
// fit.
std::int64_t scaled(std::string_view number, std::int64_t factor) {
  std::int64_t whole = 0;
  const char* const end = number.data() + number.size();
  if (const auto read = std::from_chars(number.data(), end, whole); read.ec == std::errc{} && read.ptr == end) {
    std::int64_t product = 0;
    return __builtin_mul_overflow(whole, factor, &product) ? -1 : product;
  }
  double fraction = 0;
  if (const auto read = std::from_chars(number.data(), end, fraction, std::chars_format::fixed);
      read.ec != std::errc{} || read.ptr != end)
    return -1;
  const double product = std::round(fraction * static_cast<double>(factor));
  return product < 0x1p63 ? static_cast<std::int64_t>(product) : -1;
}

Result<std::int64_t> parse(std::string_view text, std::span<const Unit> units, const Words& words) {
  if (text.starts_with('-')) return bad(words, text, "it is negative");
  const std::size_t number_size = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::string_view number = text.substr(0, number_size);
  std::string_view unit_name = text.substr(number_size);
  if (number.empty() || number.front() == '.' || number.back() == '.' || number.find('.') != number.rfind('.'))
    return bad(words, text, "it does not start with a number");
  while (unit_name.starts_with(' '))
    unit_name.remove_prefix(1);
  for (const Unit& unit : units) {
    if (unit.name != unit_name) continue;
    const std::int64_t value = scaled(number, unit.factor);
    if (value < 0) return bad(words, text, "it is too large");
    return value;
  }
  if (number == "0" && unit_name.empty()) return std::int64_t{0};
  return bad(words, text, unit_name.empty() ? "the unit is missing" : fmt::format("unknown unit '{}'", unit_name));
}

std::string format(std::int64_t value, std::span<const Unit> units) {
  for (std::size_t i = units.size(); i-- > 0;)
    if (value % units[i].factor == 0 && value != 0) return fmt::format("{}{}", value / units[i].factor, units[i].name);
  return {};
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  WEFT_ASSIGN(nanoseconds, parse(text, duration_units, {"duration", "\"5s\", \"200ms\" or \"10m\""}));
  return std::chrono::duration_cast<Duration>(std::chrono::nanoseconds(nanoseconds));
}

Result<Bytes> parse_bytes(std::string_view text) {
  WEFT_ASSIGN(bytes, parse(text, byte_units, {"size", "\"512MiB\", \"2GB\" or \"4096\""}));
  return static_cast<Bytes>(bytes);
}

std::string format_duration(Duration duration) {
  const std::int64_t value = std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count();
  return value == 0 ? "0s" : format(value, duration_units);
}

std::string format_bytes(Bytes bytes) {
  if (bytes == 0) return "0B";
  if (bytes > static_cast<Bytes>(std::numeric_limits<std::int64_t>::max())) return fmt::format("{}B", bytes);
  return format(static_cast<std::int64_t>(bytes), binary_units);
}

}  // namespace weft
