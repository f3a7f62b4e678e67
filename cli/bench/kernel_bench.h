// A device's products and attention on one model's shapes, through the interface that every device has.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cli/bench/spread.h"
#include "engine/model/model_config.h"
#include "engine/model/rank_shape.h"
#include "weft/device.h"

namespace weft::cli {

struct KernelBenchSpec {
  Device& device;
  const engine::ModelConfig& model;
  engine::RankShape rank;  // whose part of a layer and of the head
  DType type = DType::f32;
  std::int32_t block_size = 16;       // tokens of a KV block
  int threads = 1;                    // that the device has; the limits' too
  int repeat = 5;                     // repetitions
  std::vector<std::int32_t> batches;  // sequences that decode together
  std::int32_t prompt_tokens = 512;   // rows of a prefill
  std::int32_t context = 1024;        // tokens cached of each sequence that decodes
  std::function<bool()> stop;         // asked between measurements
};

struct KernelFigure {
  std::string kind;          // linear | attention
  std::string name;          // qkv, output, gate_up, down, head; decode, prefill
  std::int64_t rows = 0;     // of the step
  std::int64_t outputs = 0;  // linear: rows of the matrix; attention: query heads x head_dim
  std::int64_t columns = 0;  // linear: its columns; attention: tokens that the last row sees
  double bytes = 0;          // of weights, or of keys and values, that one call reads
  double operations = 0;     // floating-point, of one call
  Spread seconds;            // of one call
  Spread read_limit;         // bytes a second
  Spread operation_limit;    // f32 multiply-adds: operations a second

  double share_of_reads() const noexcept { return quotient(quotient(bytes, seconds.median), read_limit.median); }
  double share_of_operations() const noexcept {
    return quotient(quotient(operations, seconds.median), operation_limit.median);
  }
  // Whichever leaves less time; the share of that limit is the call's (a roofline: Williams et al., CACM 52(4), 2009).
  bool is_bound_by_reads() const noexcept { return share_of_reads() >= share_of_operations(); }
};

// Consecutive calls take the matrices, keys and values of consecutive layers, as a step does, but no more than 256 MiB of
// them; the limit reads as many bytes. cancelled: stop() said so. Errors are the device's.
Result<std::vector<KernelFigure>> bench_kernels(const KernelBenchSpec& spec);

nlohmann::ordered_json to_json(const KernelFigure& figure);
std::string kernel_table(const std::vector<KernelFigure>& figures);

}  // namespace weft::cli
