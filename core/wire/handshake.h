// How a link begins: Open is checked, versions are agreed on. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/wire/link.h"

namespace weft::wire {

// Takes the same time wherever two tokens of the same length differ.
bool same_token(std::string_view a, std::string_view b) noexcept;

// The newest version that both ranges hold; refused, naming both, if there is none.
Result<std::uint32_t> negotiate(std::uint32_t theirs_min, std::uint32_t theirs);

// permission_denied: the token; refused: the version; invalid_argument: a role, rank, incarnation or credit that cannot be.
Result<std::uint32_t> check_open(const Envelope& envelope, std::string_view token);
Status check_opened(const Envelope& envelope, std::int64_t incarnation);

Envelope make_open(const DialOptions& options);
Envelope make_opened(std::uint32_t version, std::uint64_t epoch, std::int64_t incarnation, std::uint64_t window);
Envelope make_refused(const Error& why);

// "rank 3 (worker, link 7)".
std::string describe(const Peer& peer);

}  // namespace weft::wire
