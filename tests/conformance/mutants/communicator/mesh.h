// One connection to every other rank, and the frames that travel on them. Data is copied into queues, and moves while some call of the
// group pumps it: simple, and slow.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "weft/communicator.h"

namespace mutant {

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();
  int get() const noexcept { return fd_; }

 private:
  int fd_;
};

using Bytes = std::vector<std::byte>;

struct Peer {
  Descriptor socket;
  bool gone = false;
  bool farewell = false;      // of broken rules: it said that it goes
  Bytes last;                 // the same: the data of its last collective
  std::deque<Bytes> out;      // frames, header and all
  std::size_t out_begin = 0;  // of the first, what has been written
  std::uint64_t queued = 0;   // frames, since the beginning
  std::uint64_t written = 0;
  Bytes in;                                         // of the frame that is coming
  std::map<std::uint64_t, Bytes> collectives;       // by sequence number
  std::map<std::uint32_t, std::deque<Bytes>> mail;  // by tag
};

class Mesh {
 public:
  // Meets the other ranks and connects to them. Undoes what it did where that fails.
  static weft::Result<Mesh> open(const weft::GroupSpec& spec);

  Peer& peer(std::int32_t rank) { return peers_[static_cast<std::size_t>(rank)]; }
  // Queues a frame; the number that `written` has when it is out.
  std::uint64_t queue_collective(std::int32_t to, std::uint64_t sequence, std::span<const std::byte> data);
  std::uint64_t queue_message(std::int32_t to, std::uint32_t tag, std::span<const std::byte> data);
  // Reads and writes what can be, without waiting.
  void pump();
  // Until something can be read or written, `wake` is readable, or the deadline.
  void wait(int wake, weft::Deadline deadline);
  // Ends the connections for both sides. Any thread, while the mesh lives.
  void shut_down() noexcept;
  // Of broken rules: tells every peer that this rank goes. Any thread, while nothing else is written.
  void say_farewell() noexcept;

 private:
  void read(std::size_t rank);
  void write(Peer& peer);

  std::int32_t rank_ = 0;
  std::vector<Peer> peers_;  // by rank; empty at our own
};

// Counts this rank out; the last removes the group's keys.
weft::Status leave(const weft::GroupSpec& spec, weft::Deadline deadline);

std::string member_name(const weft::GroupSpec& spec, std::int32_t rank);
std::string key_prefix(const weft::GroupSpec& spec);

}  // namespace mutant
