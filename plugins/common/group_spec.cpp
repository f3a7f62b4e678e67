#include "plugins/common/group_spec.h"

#include <fmt/format.h>

#include <algorithm>

namespace weft::plugins {
namespace {

constexpr std::size_t max_id = 512;  // a key has at most 1 KiB

tl::unexpected<Error> invalid(std::string message) { return fail(ErrorCode::invalid_argument, std::move(message)); }

}  // namespace

Status check_spec(const GroupSpec& spec) {
  const bool printable = std::all_of(spec.id.begin(), spec.id.end(), [](char c) { return c > ' ' && c != '\x7f'; });
  if (spec.id.empty() || spec.id.size() > max_id || !printable)
    return invalid(fmt::format("a group's id has 1 to {} visible ASCII characters", max_id));
  if (spec.size < 1) return invalid(fmt::format("size {}, expected at least 1", spec.size));
  if (spec.rank < 0 || spec.rank >= spec.size)
    return invalid(fmt::format("rank {} of a group of {}, expected 0 to {}", spec.rank, spec.size, spec.size - 1));
  if (!spec.members.empty() && spec.members.size() != static_cast<std::size_t>(spec.size))
    return invalid(fmt::format("{} member names for {} ranks", spec.members.size(), spec.size));
  if (spec.memory == MemoryKind::device)
    return fail(ErrorCode::unimplemented, "moves host memory only; choose another communicator for device memory");
  if (spec.size > 1 && spec.store == nullptr) return invalid("no store to meet the other ranks in");
  return {};
}

std::string member_name(const GroupSpec& spec, std::int32_t rank) {
  const auto index = static_cast<std::size_t>(rank);
  return index < spec.members.size() ? spec.members[index] : fmt::format("rank {}", rank);
}

}  // namespace weft::plugins
