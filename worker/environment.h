// What an executor's environment tells a worker before it has joined: where the head is, who it is, what it may load.
// Public names: WEFT_HEAD, WEFT_TOKEN, WEFT_RANK, WEFT_INCARNATION, WEFT_WORKER_PLUGINS, WEFT_LOG_LEVEL, WEFT_LOG_FORMAT.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/plugin/plugin_host.h"
#include "core/telemetry/log.h"
#include "weft/status.h"

namespace weft::worker {

struct Environment {
  std::string head;  // "tcp://127.0.0.1:40123"
  std::string token;
  std::int32_t rank = -1;
  std::int64_t incarnation = 0;
  std::vector<PluginRequest> plugins;  // kind, name, path and the sha256 that the head found
  log::Options log;
};

// invalid_argument names the variable; it is removed from the process's environment where it is secret (the token).
Result<Environment> read_environment();

}  // namespace weft::worker
