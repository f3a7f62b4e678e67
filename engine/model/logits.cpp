#include "engine/model/logits.h"

#include <fmt/format.h>

#include <cmath>
#include <new>

namespace weft::engine {

Result<LogitsCollector> LogitsCollector::create(const ModelConfig& config, const RankShape& rank,
                                                std::int32_t max_samples) {
  LogitsCollector out;
  if (!rank.leader()) return out;
  for (std::int32_t tp = 0; tp < rank.position.tp_size; ++tp)
    out.slices_.push_back(even_slice(config.shape.vocabulary, tp, rank.position.tp_size));
  out.width_ = rank.vocabulary_width;
  out.vocabulary_ = config.shape.vocabulary;
  out.scale_ = config.decoder.logit_scale;
  out.soft_cap_ = config.decoder.logit_soft_cap;
  const auto size = static_cast<std::size_t>(max_samples) * static_cast<std::size_t>(out.vocabulary_);
  out.rows_.reset(new (std::nothrow) float[size]);
  if (out.rows_ == nullptr)
    return fail(ErrorCode::resource_exhausted, fmt::format("model: no memory for the logits of {} requests, {} bytes",
                                                           max_samples, size * sizeof(float)));
  return out;
}

Result<const float*> LogitsCollector::collect(Device& device, Buffer shards, std::int32_t samples) {
  const auto row_bytes = static_cast<Bytes>(width_) * sizeof(float);
  for (std::size_t tp = 0; tp < slices_.size(); ++tp) {
    const auto& [first, count] = slices_[tp];
    if (count == vocabulary_) {  // one rank: its rows are whole and lie together
      WEFT_TRY(device.copy_out(rows_.get(), shards, static_cast<Bytes>(samples) * row_bytes, device.stream()));
      break;
    }
    for (std::int32_t row = 0; row < samples; ++row) {
      const Bytes offset = (tp * static_cast<Bytes>(samples) + static_cast<Bytes>(row)) * row_bytes;
      const auto bytes = static_cast<Bytes>(count) * sizeof(float);
      WEFT_TRY(device.copy_out(rows_.get() + row * vocabulary_ + first, shards.slice(offset, bytes), bytes,
                               device.stream()));
    }
  }
  if (scale_ == 1 && soft_cap_ == 0) return rows_.get();
  for (std::int64_t i = 0; i < samples * vocabulary_; ++i) {
    double value = rows_[static_cast<std::size_t>(i)] * scale_;
    if (soft_cap_ != 0) value = soft_cap_ * std::tanh(value / soft_cap_);
    rows_[static_cast<std::size_t>(i)] = static_cast<float>(value);
  }
  return rows_.get();
}

}  // namespace weft::engine
