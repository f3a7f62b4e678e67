// Models of random weights that the benchmarks make themselves, by name.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weft/dtype.h"
#include "weft/status.h"

namespace weft::cli {

// "bench-100m", "bench-430m".
std::vector<std::string> bench_models();
// Its config.json, without a dtype; nullopt: there is none of that name.
std::optional<nlohmann::json> bench_model_config(std::string_view name);

struct BenchModel {
  std::string name;
  DType type = DType::bf16;
  std::uint64_t seed = 0;
  std::string directory;  // empty: below the user's cache folder, one for each name, type and seed
};

// The directory of the whole model, made if it is not there (which is told on standard error). not_found lists the names.
Result<std::string> provide_bench_model(const BenchModel& model);

// What --model says: the name of one of these, or a directory; absolute.
Result<std::string> resolve_model(const std::string& name_or_directory);

}  // namespace weft::cli
