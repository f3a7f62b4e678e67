// Durations and sizes as people write them in TOML and on the command line.
//
// Pure functions; any thread. A value printed by format_* is read back exactly by parse_*.
#pragma once

#include <string>
#include <string_view>

#include "weft/buffer.h"
#include "weft/status.h"
#include "weft/time.h"

namespace weft {

// "5s", "200ms", "1.5h": a number, then ns, us, ms, s, m, h or d. "0" needs no unit. invalid_argument says
// what is wrong: no unit, negative, unknown unit, or more than about 292 years.
Result<Duration> parse_duration(std::string_view text);
// "512MiB", "2GB", "1.5GiB", "4096": a number, then nothing or B, kB/KB, MB, GB, TB (powers of 1000) or KiB,
// MiB, GiB, TiB (of 1024). At most 2^63 - 1, so that it fits an option's int64.
Result<Bytes> parse_bytes(std::string_view text);

// The largest unit that divides it: 90 s is "90s", 120 s "2m".
std::string format_duration(Duration duration);
// The largest unit of 1024 that divides it: "512MiB", "1500B".
std::string format_bytes(Bytes bytes);

}  // namespace weft
