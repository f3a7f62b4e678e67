// The device that every other one is measured against: naive, readable, slow, right.
#pragma once

#include <memory>

#include "weft/device.h"

namespace weft {

// A device in host memory that computes on the caller's thread. Keeps device.h's contract, "batch_invariant"
// too.
Result<std::unique_ptr<Device>> make_reference_device();

}  // namespace weft
