// What every communicator for host memory asks of a GroupSpec, and the names of ranks in messages.
#pragma once

#include <string>

#include "weft/communicator.h"

namespace weft::plugins {

// invalid_argument: a spec that cannot be. unimplemented: device memory.
Status check_spec(const GroupSpec& spec);

// The member's name for messages; "rank 1" if the spec names none.
std::string member_name(const GroupSpec& spec, std::int32_t rank);

}  // namespace weft::plugins
