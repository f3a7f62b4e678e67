// A little of what an object is made for, whatever its kind: so that manners are watched while it works, too.
#pragma once

#include <string_view>

#include "tests/conformance/harness/context.h"

namespace weft::conformance {

// An object of that kind: an executor runs a rank that ends at once, a communicator reduces in a group of one, a balancer serves a
// few requests, a device computes a few rows. Whether that comes out right is other rules' matter: nothing is judged here, and
// nothing waited for longer than 5 s times the profile's time_scale.
void put_to_work(Context& context, std::string_view kind, void* object);

}  // namespace weft::conformance
