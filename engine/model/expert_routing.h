// Which rows of a step go through which experts, and with what shares. Pure; keeps its memory from step to step.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace weft::engine {

class ExpertRouting {
 public:
  // 1 <= per_token <= experts.
  void begin(std::int32_t experts, std::int32_t per_token, bool normalize);
  // The next row's router logits [experts]. It takes the `per_token` largest, the lower expert among equals (NaN is the
  // smallest); shares are a softmax over these where shares are normalised, else over all experts.
  void add(std::span<const float> logits);
  // After the last row: sorts by expert.
  void finish();

  // Rows by expert, ascending within each.
  std::span<const std::int32_t> rows() const noexcept { return rows_; }
  float share(std::int64_t index) const noexcept { return shares_[static_cast<std::size_t>(index)]; }
  // First index of an expert's rows, and how many there are.
  std::pair<std::int64_t, std::int64_t> of(std::int32_t expert) const noexcept {
    const auto at = static_cast<std::size_t>(expert);
    return {starts_[at], starts_[at + 1] - starts_[at]};
  }

 private:
  struct Choice {
    std::int32_t expert = 0;
    float share = 0;
  };

  std::int32_t experts_ = 0, per_token_ = 0;
  bool normalize_ = false;
  std::vector<std::int32_t> order_;  // experts, while a row chooses
  std::vector<Choice> choices_;      // per_token_ a row
  std::vector<std::int32_t> rows_;
  std::vector<float> shares_;
  std::vector<std::int64_t> starts_;
};

// sum += share * values.
void add_scaled(std::span<const float> values, float share, std::span<float> sum) noexcept;

}  // namespace weft::engine
