// What ranks say on the sockets of a group that opens, and who they say it to.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "plugins/common/descriptor.h"
#include "weft/status.h"
#include "weft/time.h"

namespace weft::comm_shm {

using Token = std::array<char, 32>;  // 128 random bits as hexadecimal text

Result<Token> random_token();

// From a rank to rank 0, with a pidfd of its process.
struct Hello {
  std::array<char, 8> magic{'w', 'e', 'f', 't', 's', 'h', 'm', '1'};
  Token token{};  // what the store told it: it is of this group
  std::int32_t rank = 0;
  std::int32_t size = 0;
};

// From rank 0 when all are there, with the memory and a pidfd of each rank's process.
struct Welcome {
  std::array<char, 8> magic{'w', 'e', 'f', 't', 'S', 'H', 'M', '1'};
  Token token{};
  std::uint64_t memory = 0;  // what the layout is made of
  std::uint64_t heap = 0;
};

// A Unix socket in the abstract namespace: a name that no file has, and that vanishes with its last descriptor.
Result<plugins::Descriptor> listen_at(const std::string& name);
Result<plugins::Descriptor> connect_to(const std::string& name, Deadline deadline);
// Whether the process at the other end runs as the same user.
bool same_user(const plugins::Descriptor& socket) noexcept;

// One message with descriptors; the sockets keep messages apart. unavailable: the other end is gone.
Status send_message(const plugins::Descriptor& socket, std::span<const std::byte> message, std::span<const int> files);
struct RawMessage {
  std::vector<std::byte> bytes;
  std::vector<plugins::Descriptor> files;
};
// Does not wait. nullopt: nothing is there. unavailable: the other end is gone.
Result<std::optional<RawMessage>> receive_message(const plugins::Descriptor& socket);

}  // namespace weft::comm_shm
