#include "engine/model/full_norm.h"

#include <cmath>
#include <span>

namespace weft::engine {
namespace {

double squares(std::span<const float> values) {
  double sum = 0;
  for (const float value : values)
    sum += static_cast<double>(value) * static_cast<double>(value);
  return sum;
}

void scale(std::span<float> values, const std::vector<float>& weight, double offset, double by) {
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(values[i] * by * (static_cast<double>(weight[i]) + offset));
}

}  // namespace

Status full_norm(const FullNormArgs& args, Device& device, TimedGroup& tensor, HostRows& scratch) {
  const FullNormWeights& weights = args.weights;
  const auto rows = static_cast<std::size_t>(args.qkv.rows);
  WEFT_TRY(scratch.read(device, args.qkv));
  const auto queries = [&](std::size_t row) {
    return scratch.row(static_cast<std::int64_t>(row)).first(weights.query.size());
  };
  const auto keys = [&](std::size_t row) {
    return scratch.row(static_cast<std::int64_t>(row)).subspan(weights.query.size(), weights.key.size());
  };
  std::vector<float> sums(rows * 2);
  for (std::size_t row = 0; row < rows; ++row) {
    sums[2 * row] = static_cast<float>(squares(queries(row)));
    sums[2 * row + 1] = weights.counts_keys ? static_cast<float>(squares(keys(row))) : 0;
  }
  const Bytes bytes = sums.size() * sizeof(float);
  WEFT_TRY(device.copy_in(args.sums.buffer, sums.data(), bytes, device.stream()));
  WEFT_TRY(tensor.all_reduce(args.sums));
  WEFT_TRY(device.copy_out(sums.data(), args.sums.buffer, bytes, device.stream()));
  const auto factor = [&](float sum, std::int64_t size) {
    return 1 / std::sqrt(static_cast<double>(sum) / static_cast<double>(size) + args.epsilon);
  };
  for (std::size_t row = 0; row < rows; ++row) {
    scale(queries(row), weights.query, args.weight_offset, factor(sums[2 * row], args.query_size));
    scale(keys(row), weights.key, args.weight_offset, factor(sums[2 * row + 1], args.key_size));
  }
  return scratch.write(device, args.qkv);
}

}  // namespace weft::engine
