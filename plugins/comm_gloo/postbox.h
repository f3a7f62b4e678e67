// send and recv: messages between two ranks, by tag. They run on a mesh of their own, in Gloo's asynchronous
// mode: the device's thread moves the data straight between the lent buffers, whether or not anybody waits.
//
// A message's Gloo slot is made of its tag, its number among those of this pair and tag, and its length. So
// order holds for each tag, and a send meets only a receive of the same length: Gloo would end the process at
// a longer one.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "plugins/comm_gloo/loop.h"
#include "weft/buffer.h"
#include "weft/communicator.h"
#include "weft/status.h"
#include "weft/time.h"

namespace gloo {
class Context;
namespace transport {
class UnboundBuffer;
namespace tcp {
class Device;
}
}  // namespace transport
}  // namespace gloo

namespace weft::comm_gloo {

class Postbox {
 public:
  static constexpr Bytes max_bytes = Bytes{1} << 34;  // of one message, exclusive

  // `mesh` is connected, over `device`, and used by nobody else; `sockets` are duplicates of its descriptors by rank.
  static Result<std::unique_ptr<Postbox>> open(std::shared_ptr<gloo::Context> mesh,
                                               const std::shared_ptr<gloo::transport::tcp::Device>& device,
                                               std::vector<Descriptor> sockets);
  ~Postbox();

  // Post a message of 1..max_bytes-1 bytes under this group's `ticket`; tickets rise. The buffer is lent
  // until wait() has returned ok or the postbox is gone. unavailable: the peer is gone.
  Status send(std::uint64_t ticket, Buffer data, std::int32_t peer, std::uint32_t tag, Deadline deadline);
  Status recv(std::uint64_t ticket, Buffer data, std::int32_t peer, std::uint32_t tag, Deadline deadline);

  // The peer of a ticket that has not been waited for to its end; -1 if there is none such.
  std::int32_t peer_of(std::uint64_t ticket) const noexcept;
  // Waits for that ticket. deadline_exceeded (the mesh is closed then), unavailable: the peer is gone, or
  // stop().
  Status wait(std::uint64_t ticket, Deadline deadline);

  // Those that have not been waited for to their end.
  std::vector<std::uint64_t> tickets() const;

  // Closes the mesh: every wait ends. Any thread, idempotent.
  void stop() noexcept;

 private:
  struct Message {
    std::uint64_t ticket;
    std::int32_t peer;
    bool outgoing;
    Deadline deadline;  // of its own, whatever wait() says
    std::unique_ptr<gloo::transport::UnboundBuffer> buffer;
  };
  using Counters = std::map<std::pair<std::int32_t, std::uint32_t>, std::uint64_t>;  // by peer and tag

  explicit Postbox(std::shared_ptr<gloo::Context> mesh);
  // On the device's thread: this peer has closed its connection.
  void peer_gone(std::int32_t peer) noexcept;
  Status wait_send(Message& message, Deadline deadline);
  Status post(bool outgoing, std::uint64_t ticket, Buffer data, std::int32_t peer, std::uint32_t tag, Deadline deadline,
              Counters& counters);
  std::deque<Message>::iterator find(std::uint64_t ticket) noexcept;

  std::shared_ptr<gloo::Context> mesh_;
  Counters sent_;
  Counters received_;
  std::deque<Message> messages_;  // by rising ticket
  // Nothing is ever posted on it: waiting on it without time makes Gloo close all pairs.
  std::unique_ptr<gloo::transport::UnboundBuffer> stopper_;
  std::byte stopper_memory_{};

  std::mutex mutex_;  // guards the three below
  bool stopped_ = false;
  std::vector<bool> gone_;      // by rank
  Message* sending_ = nullptr;  // what wait() is blocked on: Gloo does not wake a send that is half written

  std::vector<std::unique_ptr<HangupWatch>> watches_;  // last, because they call us until they are gone
};

}  // namespace weft::comm_gloo
