// How ranks find each other: each publishes where it listens.
#pragma once

#include <string>
#include <vector>

#include "tests/conformance/mutants/communicator/mesh.h"
#include "weft/communicator.h"

namespace mutant {

// Connected sockets by rank, non-blocking; empty at our own.
weft::Result<std::vector<Descriptor>> meet(const weft::GroupSpec& spec);

}  // namespace mutant
