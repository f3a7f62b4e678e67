// Whether LinkLimits make sense.
#pragma once

#include "core/wire/link.h"

namespace weft::wire {

// invalid_argument names the limit and its range.
Status check_limits(const LinkLimits& limits);

}  // namespace weft::wire
