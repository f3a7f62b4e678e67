// The checks that a plugin passes through, in order, and how one that fails is described.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "weft/status.h"

namespace weft {

enum class Stage : std::uint8_t {
  file_policy = 0,   // owner, permissions, sha256
  symbol = 1,        // a whole ELF shared library of this machine that exports weft_plugin; read, not loaded
  dlopen = 2,        // the dynamic linker takes it
  size = 3,          // weft_plugin() returns a descriptor of the right size and magic
  abi = 4,           // the descriptor's version
  interface = 5,     // a known kind, at the version of this build
  fingerprint = 6,   // standard library, debug mode, exceptions, tl::expected
  runtime = 7,       // one C++ runtime in the process
  name = 8,          // kind and name are those of the file's name and of the request
  capabilities = 9,  // known ones
  options = 10,      // declared with help, range and a legal default
  probe = 11,        // it can work here
  create = 12,       // it makes an object
};
inline constexpr int stage_count = 13;

constexpr std::string_view to_string(Stage stage) noexcept {
  switch (stage) {
    case Stage::file_policy: return "file policy";
    case Stage::symbol: return "symbol";
    case Stage::dlopen: return "dlopen";
    case Stage::size: return "size";
    case Stage::abi: return "abi";
    case Stage::interface: return "interface";
    case Stage::fingerprint: return "fingerprint";
    case Stage::runtime: return "runtime";
    case Stage::name: return "name";
    case Stage::capabilities: return "capabilities";
    case Stage::options: return "options";
    case Stage::probe: return "probe";
    case Stage::create: return "create";
  }
  return "unknown";
}

// Why a plugin was turned away. `stage` is empty when there was no file to check (not_found,
// invalid_argument).
struct Refusal {
  std::optional<Stage> stage;
  Error error;  // the message names file and stage; what was found, what was expected, what to do
};

}  // namespace weft
