// The device of this machine's processors: SIMD chosen at run time, a pool of threads.
#pragma once

#include <memory>
#include <vector>

#include "weft/device.h"

namespace weft {

struct CpuDeviceOptions {
  int threads = 0;             // with the caller's own; 0: one for each of `cpus`, or 1
  std::vector<int> cpus = {};  // logical CPUs to pin workers to; empty: none is pinned
};

// Keeps device.h's contract, "batch_invariant" too: a row's result is the same bits whatever the other rows are and
// however many threads there are. resource_exhausted if the threads are not to be had.
Result<std::unique_ptr<Device>> make_cpu_device(const CpuDeviceOptions& options);

}  // namespace weft
