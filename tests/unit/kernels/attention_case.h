// A model's attention of one layer over several sequences, run on a device in steps that a test chooses.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "tests/unit/kernels/support.h"

namespace weft::testing {

struct AttentionCase {
  std::int32_t query_heads = 1;
  std::int32_t kv_heads = 1;
  std::int32_t head_dim = 8;
  std::int32_t rotary_dim = 0;
  bool head_norms = false;
  std::int32_t block_size = 16;
  std::int32_t window = 0;
  float soft_cap = 0;
  float scale = 0.2f;
  DType type = DType::f32;  // of activations
  DType cache_type = DType::f32;
  std::vector<std::int32_t> lengths = {1};  // tokens of each sequence

  std::int64_t width() const { return std::int64_t{query_heads + 2 * kv_heads} * head_dim; }
  std::int64_t out_width() const { return std::int64_t{query_heads} * head_dim; }
};

// Each sequence's rows, by sequence and position.
struct AttentionResult {
  std::vector<std::vector<float>> qkv;
  std::vector<std::vector<float>> out;
  bool guards_intact = true;
};

// Runs steps until every sequence is done. rows(sequence, done) says how many of its tokens the next step takes, 0 too.
template <class Rows>
AttentionResult run_attention(Device& device, const AttentionCase& of, std::uint64_t seed, Rows&& rows) {
  const auto check = [](const Status& status) {
    if (!status) throw std::runtime_error(status.error().message);
  };
  const std::size_t count = of.lengths.size();
  const std::int32_t longest = *std::max_element(of.lengths.begin(), of.lengths.end());
  const std::int32_t max_blocks = (longest + of.block_size - 1) / of.block_size;
  const std::int32_t blocks = max_blocks * static_cast<std::int32_t>(count) + 3;
  auto cache = device.create_kv_cache({.layers = 2,
                                       .kv_heads = of.kv_heads,
                                       .head_dim = of.head_dim,
                                       .block_size = of.block_size,
                                       .type = of.cache_type},
                                      blocks);
  if (!cache) throw std::runtime_error(cache.error().message);
  const auto vector = [&](std::uint64_t salt) {
    return make_weight(device, WeightUse::vector, DType::f32, DType::f32, 1, of.head_dim,
                       random_values(of.head_dim, seed + salt, 0.5f, 1.5f));
  };
  const auto query_norm = vector(1), key_norm = vector(2);
  const auto table = of.rotary_dim == 0 ? nullptr
                                        : make_weight(device, WeightUse::table, DType::f32, DType::f32, longest,
                                                      of.rotary_dim, rope_table(longest, of.rotary_dim));
  AttentionResult result{.qkv = std::vector<std::vector<float>>(count), .out = std::vector<std::vector<float>>(count)};
  std::vector<std::int32_t> done(count);
  while (done != of.lengths) {
    std::vector<Sequence> step;
    std::vector<float> values;
    for (std::size_t s = 0; s < count; ++s) {
      const std::int32_t take = std::min(rows(s, done[s]), of.lengths[s] - done[s]);
      step.push_back({.cached = done[s], .rows = take});
      for (std::int32_t row = done[s]; row < done[s] + take; ++row) {
        const auto token =
            random_values(of.width(), seed * 1000003 + s * 10007 + static_cast<std::uint64_t>(row), -2, 2);
        values.insert(values.end(), token.begin(), token.end());
      }
    }
    const Batch batch(step, of.block_size, blocks, max_blocks, seed);
    Matrix qkv(of.type, batch.tokens, of.width(), values, of.width() + 3);
    Matrix out(of.type, batch.tokens, of.out_width(), {}, of.out_width() + 5);
    check(device.rope_and_append({.qkv = qkv.view(),
                                  .query_heads = of.query_heads,
                                  .kv_heads = of.kv_heads,
                                  .head_dim = of.head_dim,
                                  .table = table.get(),
                                  .rotary_dim = of.rotary_dim,
                                  .query_norm = of.head_norms ? query_norm.get() : nullptr,
                                  .key_norm = of.head_norms ? key_norm.get() : nullptr,
                                  .batch = batch.paged(),
                                  .cache = cache->get(),
                                  .layer = 1},
                                 {}));
    check(device.attention({.qkv = qkv.view(),
                            .out = out.view(),
                            .query_heads = of.query_heads,
                            .kv_heads = of.kv_heads,
                            .head_dim = of.head_dim,
                            .scale = of.scale,
                            .soft_cap = of.soft_cap,
                            .window = of.window,
                            .batch = batch.paged(),
                            .cache = cache->get(),
                            .layer = 1},
                           {}));
    result.guards_intact = result.guards_intact && qkv.guards_intact() && out.guards_intact();
    std::int64_t row = 0;
    for (std::size_t s = 0; s < count; ++s) {
      done[s] += step[s].rows;
      for (std::int32_t i = 0; i < step[s].rows; ++i, ++row) {
        for (std::int64_t c = 0; c < of.width(); ++c)
          result.qkv[s].push_back(qkv.at(row, c));
        for (std::int64_t c = 0; c < of.out_width(); ++c)
          result.out[s].push_back(out.at(row, c));
      }
    }
  }
  return result;
}

}  // namespace weft::testing
