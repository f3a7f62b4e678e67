// Operations on sequences: rope_and_append and attention over the paged cache.
#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "tests/conformance/device/groups.h"
#include "tests/conformance/device/layer.h"

namespace weft::conformance {
namespace {

// A few steps of prefill and decode; what rope left, or what attention gave, is right.
void run(const Bench& bench, const LayerShape& shape, bool rope, std::string_view what) {
  Layer layer(bench, shape);
  std::vector<std::int32_t> rows(static_cast<std::size_t>(shape.sequences), 5);
  for (int step = 0; step < 4; ++step) {
    const auto outcome = layer.step(rows);
    if (rope)
      expect_close(bench, outcome.qkv, shape.type, outcome.turned, what);
    else
      expect_close(bench, outcome.out, shape.type, outcome.attended, what);
    rows.assign(rows.size(), step == 0 ? 7 : 1);
  }
}

void turns(Context& context) {
  const Bench bench(context);
  for (const DType type : bench.types())
    for (const std::int32_t dim : {2, 48, 64, 80, 128})
      run(bench, {.query_heads = 4, .kv_heads = 2, .head_dim = dim, .rotary_dim = dim, .type = type, .gap = 3}, true,
          fmt::format("rope of heads of {}", dim));
}

void turns_a_part(Context& context) {
  const Bench bench(context);
  for (const DType type : bench.types())
    for (const auto& [dim, rotary] : {std::pair{16, 4}, {64, 32}, {80, 20}, {96, 34}})
      run(bench, {.head_dim = dim, .rotary_dim = rotary, .type = type}, true,
          fmt::format("the first {} of heads of {}", rotary, dim));
}

void leaves_what_does_not_turn(Context& context) {
  const Bench bench(context);
  for (const DType type : bench.types()) {
    const LayerShape shape{.query_heads = 2, .kv_heads = 2, .head_dim = 24, .type = type};
    Layer plain(bench, shape);
    const Matrix in = bench.random(type, 6, shape.width(), -2, 2);
    context.expect(plain.step({6}, &in).qkv_bytes == encode(type, in.values), "without table and norms qkv changed");
    LayerShape turning = shape;
    turning.rotary_dim = 24;
    Layer turned(bench, turning);
    const Matrix left = turned.step({6}, &in).qkv;
    for (std::int64_t row = 0; row < 6; ++row)
      for (std::int64_t column = 4 * 24; column < left.columns; ++column)
        context.expect(left.at(row, column) == in.at(row, column), "a value was changed");
  }
}

void norms_heads(Context& context) {
  const Bench bench(context);
  for (const DType type : bench.types())
    for (const float offset : {0.0f, 1.0f}) {
      run(bench,
          {.query_heads = 4,
           .kv_heads = 2,
           .head_dim = 48,
           .rotary_dim = 48,
           .head_norms = true,
           .norm_offset = offset,
           .type = type},
          true, "head norms before rope");
      run(bench,
          {.query_heads = 2, .kv_heads = 1, .head_dim = 17, .head_norms = true, .norm_offset = offset, .type = type},
          true, "head norms without rope");
    }
}

void attends(Context& context) {
  const Bench bench(context);
  for (const DType type : bench.types())
    for (const std::int32_t dim : {1, 48, 64, 80, 96, 128})
      run(bench,
          {.query_heads = 2,
           .kv_heads = 2,
           .head_dim = dim,
           .scale = 1 / std::sqrt(static_cast<float>(dim)),
           .type = type,
           .gap = 5},
          false, fmt::format("attention with heads of {}", dim));
}

void shares_kv_heads(Context& context) {
  const Bench bench(context);
  for (const DType type : bench.types())
    for (const auto& [queries, kv] : {std::pair{4, 1}, {6, 2}, {8, 8}, {5, 1}, {32, 4}})
      run(bench, {.query_heads = queries, .kv_heads = kv, .head_dim = 32, .type = type}, false,
          fmt::format("{} query heads over {}", queries, kv));
}

void sees_a_window(Context& context) {
  const Bench bench(context);
  for (const std::int32_t window : {1, 2, 4, 5, 9, 100, std::numeric_limits<std::int32_t>::max()})
    run(bench, {.query_heads = 2, .kv_heads = 1, .head_dim = 16, .window = window}, false,
        fmt::format("a window of {}", window));
}

void caps_and_scales(Context& context) {
  const Bench bench(context);
  for (const float cap : {0.5f, 5.0f, 50.0f})
    for (const float scale : {1.0f, 0.1f, -0.5f})
      run(bench, {.head_dim = 32, .scale = scale, .soft_cap = cap}, false,
          fmt::format("soft cap {}, scale {}", cap, scale));
  run(bench, {.head_dim = 32, .scale = 0}, false, "scale 0: the mean");
}

void mixes_prefill_and_decode(Context& context) {
  const Bench bench(context);
  for (const DType type : bench.types()) {
    Layer layer(bench, {.query_heads = 4,
                        .kv_heads = 2,
                        .head_dim = 32,
                        .rotary_dim = 32,
                        .sequences = 4,
                        .longest = 60,
                        .type = type,
                        .gap = 1});
    for (const std::vector<std::int32_t>& rows : {std::vector<std::int32_t>{9, 0, 0, 1},
                                                  {1, 13, 0, 1},
                                                  {1, 1, 21, 0},
                                                  {1, 7, 1, 3},
                                                  {0, 1, 1, 1},
                                                  {17, 1, 30, 1}}) {
      const auto outcome = layer.step(rows);
      expect_close(bench, outcome.out, type, outcome.attended, "prefill and decode in one batch");
    }
  }
}

void pages_of_any_size(Context& context) {
  const Bench bench(context);
  for (const std::int32_t size : {1, 2, 3, 16, 32, 64})
    run(bench, {.head_dim = 16, .block_size = size, .sequences = 3}, false, fmt::format("blocks of {} tokens", size));
}

void shares_blocks(Context& context) {
  const Bench bench(context);
  Layer layer(bench, {.query_heads = 2, .kv_heads = 1, .head_dim = 16, .block_size = 4, .sequences = 2});
  layer.step({11, 0});
  layer.share(0, 1, 8);
  const auto outcome = layer.step({1, 5});
  expect_close(bench, outcome.out, DType::f32, outcome.attended, "two sequences over the same first blocks");
}

void keeps_layers_apart(Context& context) {
  const Bench bench(context);
  Layer first(bench, {.head_dim = 16, .sequences = 2, .layers = 3});
  Layer last(first, 2), middle(first, 1);
  for (const std::vector<std::int32_t>& rows : {std::vector<std::int32_t>{6, 3}, {1, 9}, {1, 1}})
    for (Layer* layer : {&last, &first, &middle}) {
      const auto outcome = layer->step(rows);
      expect_close(bench, outcome.out, DType::f32, outcome.attended, "one of three layers");
    }
}

void caches_in_its_type(Context& context) {
  const Bench bench(context);
  for (const DType cache : bench.types())
    run(bench, {.query_heads = 4, .kv_heads = 2, .head_dim = 64, .cache_type = cache}, false,
        fmt::format("activations of f32, a cache of {}", to_string(cache)));
}

void forgets_what_a_block_held(Context& context) {
  const Bench bench(context);
  const LayerShape shape{.query_heads = 2, .kv_heads = 2, .head_dim = 16, .longest = 32};
  Layer layer(bench, shape);
  const Matrix bad(32, shape.width(), std::numeric_limits<double>::quiet_NaN());
  layer.step({32}, &bad);
  layer.restart(0);
  for (const std::int32_t rows : {5, 1, 1, 6}) {
    const auto outcome = layer.step({rows});
    expect_close(bench, outcome.out, DType::f32, outcome.attended, "blocks that held another sequence's NaN");
  }
}

void counts_cache_bytes(Context& context) {
  const Bench bench(context);
  for (const DType type : bench.types())
    for (const auto& [layers, heads, dim, size] : {std::tuple{1, 1, 16, 16}, {4, 2, 64, 16}, {3, 5, 80, 32}}) {
      const KvSpec spec{.layers = layers, .kv_heads = heads, .head_dim = dim, .block_size = size, .type = type};
      const Bytes block = bench->kv_block_bytes(spec);
      const Bytes least = Bytes{2} * static_cast<Bytes>(layers * heads * dim * size) * size_of(type);
      context.expect(block >= least, fmt::format("a block of {} bytes of keys and values says {}", least, block));
      const auto cache = context.take(bench->create_kv_cache(spec, 100), "create_kv_cache");
      context.expect(cache->blocks() == 100, fmt::format("a cache of 100 blocks says {}", cache->blocks()));
      const Bytes all = block * 100;
      context.expect(cache->bytes() <= all + all / 50 + 65536 && cache->bytes() + all / 50 + 65536 >= all,
                     fmt::format("100 blocks of {} bytes say {}", block, cache->bytes()));
    }
}

void refuses_absurd_caches(Context& context) {
  const Bench bench(context);
  constexpr std::int32_t huge = std::numeric_limits<std::int32_t>::max();
  const KvSpec good{.layers = 1, .kv_heads = 1, .head_dim = 8, .block_size = 4};
  for (std::int32_t KvSpec::*member : {&KvSpec::layers, &KvSpec::kv_heads, &KvSpec::head_dim, &KvSpec::block_size})
    for (const std::int32_t value : {0, -1}) {
      KvSpec spec = good;
      spec.*member = value;
      context.expect_error(bench->create_kv_cache(spec, 4), ErrorCode::invalid_argument,
                           fmt::format("a cache with a size of {}", value));
    }
  for (const std::int32_t blocks : {0, -1})
    context.expect_error(bench->create_kv_cache(good, blocks), ErrorCode::invalid_argument,
                         fmt::format("a cache of {} blocks", blocks));
  KvSpec integers = good;
  integers.type = DType::i32;
  context.expect_error(bench->create_kv_cache(integers, 4), ErrorCode::invalid_argument, "a cache of i32");
  const KvSpec wide{.layers = 4096, .kv_heads = 1024, .head_dim = 1024, .block_size = 1024};
  for (const KvSpec& spec : {wide, KvSpec{.layers = 64, .kv_heads = 64, .head_dim = 128, .block_size = 16},
                             KvSpec{.layers = huge, .kv_heads = huge, .head_dim = huge, .block_size = huge}}) {
    const auto made = bench->create_kv_cache(spec, huge);
    context.expect(!made, "a cache larger than any memory was made");
    context.expect(
        made.error().code == ErrorCode::resource_exhausted || made.error().code == ErrorCode::invalid_argument,
        fmt::format("a cache larger than any memory: {}", to_string(made.error())));
  }
  context.take(bench->create_kv_cache(good, 4), "create_kv_cache after some that failed");
}

void takes_no_tokens(Context& context) {
  const Bench bench(context);
  Layer layer(bench, {.head_dim = 16, .rotary_dim = 16, .sequences = 2});
  layer.step({0, 0});
  layer.step({4, 0});
  layer.step({0, 0});
  const auto outcome = layer.step({1, 2});
  expect_close(bench, outcome.out, DType::f32, outcome.attended, "after steps without tokens");
}

constexpr const char* against =
    "Against an f64 definition over several steps, blocks scattered, within what f32 arithmetic and one rounding "
    "allow.";

constexpr Case sequence_rules[] = {
    {.id = "DV-40",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title =
         "rope_and_append turns the pairs (i, i + rotary_dim / 2) of every query and key head by its row's position",
     .rationale = against,
     .body = turns},
    {.id = "DV-41",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "where rotary_dim is less than head_dim only the first rotary_dim elements of a head turn",
     .rationale = against,
     .body = turns_a_part},
    {.id = "DV-42",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "rope_and_append leaves the values, and without table and norms all of qkv, as they are, bit by bit",
     .rationale = "Layers without positions exist.",
     .body = leaves_what_does_not_turn},
    {.id = "DV-43",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "query_norm and key_norm norm each head before it turns, with epsilon and weight offset",
     .rationale = against,
     .body = norms_heads},
    {.id = "DV-44",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "attention is the softmax of scale times q . k over the positions up to the row's own, times the values; "
              "heads of 1 to 128 elements",
     .rationale = against,
     .body = attends},
    {.id = "DV-45",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "query head h reads the KV head h / (query_heads / kv_heads)",
     .rationale = against,
     .body = shares_kv_heads},
    {.id = "DV-46",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a window of w lets a row see w positions, its own included; any positive i32 is a window",
     .rationale = against,
     .body = sees_a_window},
    {.id = "DV-47",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "scale, of any sign, comes before the soft cap: s is c tanh(s / c)",
     .rationale = against,
     .body = caps_and_scales},
    {.id = "DV-48",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "prefill, chunked prefill and decode rows, and sequences without rows, stand in one batch",
     .rationale = against,
     .body = mixes_prefill_and_decode},
    {.id = "DV-49",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "blocks have any size from 1, lie anywhere in the cache, and what a block table holds past the context "
              "is not read",
     .rationale = against,
     .body = pages_of_any_size},
    {.id = "DV-50",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "sequences may have blocks in common",
     .rationale = "Prefix caching.",
     .body = shares_blocks},
    {.id = "DV-51",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "the layers of a cache are apart",
     .rationale = against,
     .body = keeps_layers_apart},
    {.id = "DV-52",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "the cache holds keys and values as qkv has them after rope_and_append, rounded to the cache's type",
     .rationale = against,
     .body = caches_in_its_type},
    {.id = "DV-53",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "what a block held before, NaN too, does not reach a sequence that has not written there",
     .rationale = "Blocks are reused and not cleared.",
     .body = forgets_what_a_block_held},
    {.id = "DV-54",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a cache's bytes() are its blocks times kv_block_bytes, to 2 percent and 64 KiB, and at least its keys "
              "and values",
     .rationale = "The plan turns memory into blocks by it.",
     .body = counts_cache_bytes},
    {.id = "DV-55",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a cache with a size below 1 or of integers is invalid_argument; one larger than any memory that or "
              "resource_exhausted",
     .rationale = "Nothing is allocated by an overflow.",
     .body = refuses_absurd_caches},
    {.id = "DV-56",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a step without tokens is no error and changes nothing",
     .rationale = "An idle rank steps with an empty batch.",
     .body = takes_no_tokens},
};

}  // namespace

std::span<const Case> device_sequence_cases() { return sequence_rules; }

}  // namespace weft::conformance
