#include "cli/bench/limits.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/cpu/limits.h"

namespace weft::cli {
namespace {

constexpr double most_bytes = 1u << 30;   // past every cache
constexpr double least_bytes = 64 << 10;  // below it the loop's ends would count

}  // namespace

Limits::Limits(int threads, double bytes)
    : threads_(threads), bytes_(static_cast<std::size_t>(std::clamp(bytes, least_bytes, most_bytes))) {}

void Limits::measure() {
  read_.push_back(read_bandwidth(bytes_, threads_));
  operations_.push_back(arithmetic_limit(threads_));
}

nlohmann::ordered_json Limits::to_json() const {
  return {{"threads", threads_},
          {"read_from_bytes", bytes_},
          {"read_bytes_per_second", cli::to_json(read())},
          {"multiply_add_type", "f32"},
          {"multiply_add_flops_per_second", cli::to_json(operations())}};
}

std::string Limits::to_text() const {
  return fmt::format("limits of this machine, {} thread{}: reads {} of {} MB, f32 multiply-adds {}\n", threads_,
                     threads_ == 1 ? "" : "s", cli::to_text(read(), 1e-9, "GB/s"),
                     number_text(static_cast<double>(bytes_) * 1e-6), cli::to_text(operations(), 1e-9, "GFLOP/s"));
}

std::string share_text(double share) { return share > 0 ? fmt::format("{:.0f}%", share * 100) : "-"; }

}  // namespace weft::cli
