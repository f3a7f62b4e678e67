#include "plugins/common/call.h"

#include <fmt/format.h>

#include <algorithm>

namespace weft::plugins {

std::string describe(const Call& call) {
  std::string text = fmt::format("{} number {}", to_string(call.kind), call.sequence);
  if (call.kind != Kind::barrier)
    text += fmt::format(" with {} bytes of {}", call.total, to_string(static_cast<DType>(call.dtype)));
  if (call.kind == Kind::broadcast) text += fmt::format(" from root {}", call.root);
  if (call.kind == Kind::all_reduce || call.kind == Kind::reduce_scatter)
    text += fmt::format(", reduction {}", call.reduce_op);
  return text;
}

Error different_calls(const Call& theirs, const Call& mine) {
  return {ErrorCode::invalid_argument,
          fmt::format("called {}, where this rank called {}; every rank of a group must call the same collectives in "
                      "the same order with the same arguments",
                      describe(theirs), describe(mine))};
}

Bytes share_begin(Bytes bytes, std::int32_t rank, std::int32_t size) noexcept {
  constexpr Bytes unit = 512;
  const Bytes blocks = (bytes + unit - 1) / unit;
  return std::min(bytes, blocks * static_cast<Bytes>(rank) / static_cast<Bytes>(size) * unit);
}

}  // namespace weft::plugins
