#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/limits.cpp"
#include <hwy/foreach_target.h>  // must come before highway.h

#include <hwy/highway.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

#include "kernels/cpu/limits.h"
#include "kernels/cpu/thread_pool.h"
#include "weft/time.h"

HWY_BEFORE_NAMESPACE();
namespace weft {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using D = hn::CappedTag<float, 16>;

// The sum of `size` floats, a multiple of 128: only so that every one is read.
float read_all(const float* from, std::size_t size) {
  constexpr std::size_t ways = 8;
  const D d;
  const std::size_t lanes = hn::Lanes(d);
  hn::Vec<D> sums[ways];
  for (auto& sum : sums)
    sum = hn::Zero(d);
  for (std::size_t i = 0; i + ways * lanes <= size; i += ways * lanes)
    for (std::size_t way = 0; way < ways; ++way)
      sums[way] = hn::Add(sums[way], hn::LoadU(d, from + i + way * lanes));
  for (std::size_t way = 1; way < ways; ++way)
    sums[0] = hn::Add(sums[0], sums[way]);
  return hn::GetLane(hn::SumOfLanes(d, sums[0]));
}

// `rounds` times twelve independent multiply-adds; floating-point operations in all.
double multiply_add(std::int64_t rounds, float start, float* out) {
  constexpr std::size_t ways = 12;
  const D d;
  hn::Vec<D> sums[ways];
  for (std::size_t way = 0; way < ways; ++way)
    sums[way] = hn::Set(d, start + static_cast<float>(way));
  const auto factor = hn::Set(d, 0.999f);
  const auto term = hn::Set(d, 1.0f);  // the sums go to 1000: no subnormals
  for (std::int64_t i = 0; i < rounds; ++i)
    for (auto& sum : sums)
      sum = hn::MulAdd(sum, factor, term);
  for (std::size_t way = 1; way < ways; ++way)
    sums[0] = hn::Add(sums[0], sums[way]);
  *out = hn::GetLane(hn::SumOfLanes(d, sums[0]));
  return 2.0 * static_cast<double>(rounds) * static_cast<double>(ways * hn::Lanes(d));
}

}  // namespace HWY_NAMESPACE
}  // namespace weft
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace weft {
namespace {
HWY_EXPORT(read_all);
HWY_EXPORT(multiply_add);

std::atomic<float> kept{0};  // what nobody reads, so that nothing is left out

// The best of a few rounds of at least 10 ms: work() returns how much it did.
template <class Work>
double best_rate(Work&& work) {
  double best = 0;
  for (int round = 0; round < 3; ++round) {
    const Time start = Clock::now();
    double done = 0;
    std::chrono::duration<double> taken{};
    while (taken < std::chrono::milliseconds(10)) {
      done += work();
      taken = Clock::now() - start;
    }
    best = std::max(best, done / taken.count());
  }
  return best;
}

}  // namespace

double read_bandwidth(std::size_t bytes, int threads) {
  const auto pool = ThreadPool::make(threads, {});
  if (!pool) return 0;
  const std::size_t parts = static_cast<std::size_t>(threads) * 4;
  const std::size_t size = std::max<std::size_t>(1, bytes / sizeof(float) / parts / 128) * 128;
  const std::vector<float> data(size * parts, 1.0f);
  return best_rate([&] {
    (*pool)->run(static_cast<std::int64_t>(parts), [&](std::int64_t part, int) {
      kept = HWY_DYNAMIC_DISPATCH(read_all)(data.data() + static_cast<std::size_t>(part) * size, size);
    });
    return static_cast<double>(size * parts * sizeof(float));
  });
}

double arithmetic_limit(int threads) {
  const auto pool = ThreadPool::make(threads, {});
  if (!pool) return 0;
  return best_rate([&] {
    std::atomic<std::int64_t> total{0};
    (*pool)->run(threads, [&](std::int64_t part, int) {
      float out = 0;
      total += static_cast<std::int64_t>(HWY_DYNAMIC_DISPATCH(multiply_add)(1'000'000, static_cast<float>(part), &out));
      kept = out;
    });
    return static_cast<double>(total.load());
  });
}

}  // namespace weft
#endif
