// Whether this machine lets the plugin work.
#pragma once

#include "weft/status.h"

namespace weft::comm_shm {

// unavailable, with what is missing. Leaves nothing behind.
Status probe();

}  // namespace weft::comm_shm
