// Over which nodes a plan's groups go.
#pragma once

#include "core/plan/plan.h"

namespace weft {

Spread spread_of(const Plan& plan);

}  // namespace weft
