// A lane: the connection between this rank and one peer that collectives run on. It is a Gloo pair in
// synchronous mode: the calling thread reads and writes the socket itself, so that a small message costs no
// switch of threads.
//
// Gloo's own waits can be neither aborted nor given a deadline of their own. A lane therefore looks at the
// socket first (a short spin, then poll with the deadline) and lets Gloo read only what is there. It finds
// Gloo's socket by its address and keeps a duplicate descriptor; shutting that down ends a blocked call at
// once, in any thread.
#pragma once

#include <cstddef>
#include <memory>

#include "plugins/comm_gloo/frame.h"
#include "plugins/comm_gloo/socket.h"
#include "weft/status.h"
#include "weft/time.h"

namespace gloo::transport {
class Buffer;
class Pair;
}  // namespace gloo::transport

namespace weft::comm_gloo {

class Lane {
 public:
  struct Limits {
    Duration spin;               // how long a wait looks at the socket before it sleeps
    Duration operation_timeout;  // of the rest of a frame whose beginning has come
  };

  // Switches the connected pair, whose socket `socket` duplicates, to synchronous mode and greets the peer: after that neither side's loop
  // thread reads this socket any more. `outbox` is max_frame bytes, shared by the lanes of a group, and
  // outlives them. unavailable: the peer went away; deadline_exceeded: it did not greet in time; refused: it
  // is not who it should be.
  static Result<std::unique_ptr<Lane>> open(gloo::transport::Pair& pair, Descriptor socket, std::byte* outbox,
                                            const FrameHeader& greeting, const FrameHeader& expected, Limits limits,
                                            Deadline deadline);
  ~Lane();

  // Writes the first `frame_bytes` of the outbox. Blocks only while the socket's buffer is full.
  Status send(std::size_t frame_bytes);
  // Waits until a write of one frame will not block. The two codes of receive().
  Status await_writable(Deadline deadline);
  // Reads one frame into the inbox. unavailable: the connection is closed; deadline_exceeded.
  // `frame_bytes` is how long the frame should be; one of another length is read all the same, its header
  // tells.
  Status receive(std::size_t frame_bytes, Deadline deadline);
  // Whether something of a next frame has come.
  bool has_input() const noexcept;
  // Whether the peer has closed the connection and left nothing to read.
  bool peer_closed() const noexcept;
  // Ends this lane for both sides. Any thread.
  void shutdown() noexcept;

  // The frame read last; valid until the next receive().
  const FrameHeader& header() const noexcept { return *reinterpret_cast<const FrameHeader*>(inbox_); }
  const std::byte* payload() const noexcept { return inbox_ + sizeof(FrameHeader); }

 private:
  Lane(Descriptor socket, Limits limits);
  Status greet(gloo::transport::Pair& pair, std::byte* outbox, const FrameHeader& greeting, const FrameHeader& expected,
               Deadline deadline);

  Descriptor socket_;
  Limits limits_;
  struct Memory;
  std::unique_ptr<Memory> memory_;
  std::byte* inbox_;
  std::unique_ptr<gloo::transport::Buffer> in_;
  std::unique_ptr<gloo::transport::Buffer> out_;
};

}  // namespace weft::comm_gloo
