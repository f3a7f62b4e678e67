#include "core/wire/handshake.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/wire/convert.h"

namespace weft::wire {
namespace {

constexpr std::int32_t max_rank = 1 << 24;

std::string_view role_name(Role role) {
  switch (role) {
    case ROLE_WORKER: return "worker";
    case ROLE_LEADER: return "leader";
    case ROLE_TOOL: return "tool";
    default: return "unknown role";
  }
}

}  // namespace

bool same_token(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  volatile unsigned difference = 0;  // volatile: the loop must not end early
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference =
        difference | static_cast<unsigned>(static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]));
  }
  return difference == 0;
}

Result<std::uint32_t> negotiate(std::uint32_t theirs_min, std::uint32_t theirs) {
  const std::uint32_t newest = std::min(theirs, wire_version);
  if (theirs_min <= theirs && newest >= std::max(theirs_min, wire_version_min)) return newest;
  return fail(ErrorCode::refused,
              fmt::format("wire versions {} to {} do not meet ours, {} to {}; run the same release on both sides",
                          theirs_min, theirs, wire_version_min, wire_version));
}

Result<std::uint32_t> check_open(const Envelope& envelope, std::string_view token) {
  const Open& open = envelope.open();
  if (!same_token(open.token(), token)) {
    return fail(ErrorCode::permission_denied, "the token is not this cluster's");
  }
  WEFT_ASSIGN(version, negotiate(open.wire_version_min(), open.wire_version()));
  if (open.role() != ROLE_WORKER && open.role() != ROLE_LEADER && open.role() != ROLE_TOOL) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("role {}, expected worker, leader or tool", static_cast<int>(open.role())));
  }
  if (open.rank() < -1 || open.rank() > max_rank) {
    return fail(ErrorCode::invalid_argument, fmt::format("rank {}, expected -1 to {}", open.rank(), max_rank));
  }
  if (envelope.incarnation() < 0) {
    return fail(ErrorCode::invalid_argument, fmt::format("incarnation {}, expected 0 or more", envelope.incarnation()));
  }
  if (envelope.link_epoch() != 0 || envelope.sequence() != 0 || envelope.credit() == 0) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("epoch {}, sequence {} and credit {} in open, expected 0, 0 and a window",
                            envelope.link_epoch(), envelope.sequence(), envelope.credit()));
  }
  return version;
}

Status check_opened(const Envelope& envelope, std::int64_t incarnation) {
  WEFT_TRY(negotiate(envelope.opened().wire_version(), envelope.opened().wire_version()));
  if (envelope.link_epoch() == 0 || envelope.credit() == 0 || envelope.incarnation() != incarnation) {
    return fail(ErrorCode::data_loss,
                fmt::format("opened with epoch {}, credit {} and incarnation {}, expected incarnation {} and no zeros",
                            envelope.link_epoch(), envelope.credit(), envelope.incarnation(), incarnation));
  }
  return {};
}

Envelope make_open(const DialOptions& options) {
  Envelope out;
  out.set_incarnation(options.incarnation);
  out.set_credit(options.limits.window);
  Open& open = *out.mutable_open();
  open.set_wire_version(wire_version);
  open.set_wire_version_min(wire_version_min);
  open.set_token(options.token);
  open.set_role(options.role);
  open.set_rank(options.rank);
  return out;
}

Envelope make_opened(std::uint32_t version, std::uint64_t epoch, std::int64_t incarnation, std::uint64_t window) {
  Envelope out;
  out.set_incarnation(incarnation);
  out.set_link_epoch(epoch);
  out.set_credit(window);
  out.mutable_opened()->set_wire_version(version);
  return out;
}

Envelope make_refused(const Error& why) {
  Envelope out;
  *out.mutable_refused()->mutable_error() = to_wire(why);
  return out;
}

std::string describe(const Peer& peer) {
  return fmt::format("rank {} ({}, link {})", peer.rank, role_name(peer.role), peer.link);
}

}  // namespace weft::wire
