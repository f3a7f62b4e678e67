// What a plugin throws in a worker, caught where a rank's work begins rather than at each of its calls: Device and
// Communicator are wide, and a rank has no use for a plugin that broke the contract.
#pragma once

#include <fmt/format.h>

#include <string_view>

#include "core/plugin/plugin_calls.h"
#include "weft/status.h"

namespace weft::worker {

// What `work` returns, a Status; internal: something in it threw. `plugins` are those that it calls: "device/cpu,
// communicator/gloo".
template <class Work>
Status guarded(std::string_view plugins, Work&& work) {
  try {
    return work();
  } catch (...) {
    return fail(ErrorCode::internal,
                fmt::format("a plugin of this rank ({}), or weft itself, threw an exception: {}", plugins, caught()));
  }
}

}  // namespace weft::worker
