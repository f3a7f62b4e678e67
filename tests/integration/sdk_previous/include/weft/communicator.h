// Communicator: how the ranks of one group exchange tensors. Stateless: no process-global state, groups may overlap,
// ports and segments are found by themselves through the store.
//
// Contract in short
// - A Group is used by one thread at a time; abort() may come from any thread at any moment.
// - Collectives are called in the same order with the same arguments by every rank of the group.
// - An operation's buffers are lent until its Work is done. For host memory it may be done on return.
// - Results are the same bits on every rank. f16 and bf16 are summed in f32 and rounded once.
// - Capability "rank_ordered_sums": an element's sum goes in rank order, ((r0 + r1) + r2) + ..., whatever its offset and
//   the message's length; then replay and batching are exact.
// - After any error or missed deadline the group is broken: only abort and close are legal, every further call answers
//   failed_precondition, and buffers stay lent until close. Not so a call that is refused at once for its own arguments
//   (invalid_argument, unimplemented): nothing was sent, and the group is as it was.
// - A rank that dies or stops makes every other rank's pending operation end with an error, never with a false ok.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weft/buffer.h"
#include "weft/dtype.h"
#include "weft/status.h"
#include "weft/store_client.h"
#include "weft/time.h"

namespace weft {

enum class ReduceOp : std::uint8_t { sum = 0, max = 1, min = 2 };

// Everything a rank says to open its end of a group.
struct GroupSpec {
  std::string id;         // unique in the cluster while it lives, incarnation included: "tp/replica-0/1"
  std::int32_t rank = 0;  // position in the group, 0 <= rank < size
  std::int32_t size = 1;
  std::vector<std::string> members;  // names for messages, by position ("rank 3 (dp 1, tp 1)"); empty: positions
  StoreClient* store = nullptr;      // outlives the group; the group keeps its keys under "group/<id>/"
  Deadline deadline{Time::max()};    // of open() itself
  Duration operation_timeout = std::chrono::seconds(20);  // of each operation, where wait() names none earlier
  std::string address;  // a local address that peers can reach; empty: the communicator finds one
  MemoryKind memory = MemoryKind::host;
  std::int32_t device = -1;  // for device memory
};

class Group;

// A ticket for one operation: a value, never an allocation; valid while its group lives. Waiting twice is legal.
class Work {
 public:
  Work() noexcept = default;  // a ticket that is done
  Work(Group& group, std::uint64_t ticket) noexcept : group_(&group), ticket_(ticket) {}
  // deadline_exceeded breaks the group and names the ranks that are missing.
  inline Status wait(Deadline deadline);
  inline bool done();

 private:
  Group* group_ = nullptr;
  std::uint64_t ticket_ = 0;
};

class Group {
 public:
  virtual ~Group() = default;  // aborts and closes if that has not been done

  virtual std::int32_t rank() const noexcept = 0;
  virtual std::int32_t size() const noexcept = 0;

  // Memory that peers or the network can reach without a copy; freed with the group. Any other memory of the group's
  // kind is legal too, and may cost a copy.
  virtual Result<Buffer> allocate(Bytes bytes) = 0;

  // Buffer sizes are bytes and multiples of the element's size; 0 is legal and still synchronises nothing.
  // inout: size() equal buffers -> each holds the reduction.
  virtual Result<Work> all_reduce(Buffer inout, DType type, ReduceOp op, Stream stream) = 0;
  // in: n bytes a rank; out: size() * n bytes, in rank order.
  virtual Result<Work> all_gather(Buffer in, Buffer out, DType type, Stream stream) = 0;
  // in: size() * n bytes; out: n bytes, this rank's part of the reduction.
  virtual Result<Work> reduce_scatter(Buffer in, Buffer out, DType type, ReduceOp op, Stream stream) = 0;
  virtual Result<Work> broadcast(Buffer inout, DType type, std::int32_t root, Stream stream) = 0;
  // in, out: size() * n bytes; part p of `in` goes to rank p.
  virtual Result<Work> all_to_all(Buffer in, Buffer out, DType type, Stream stream) = 0;
  // The same with parts of different lengths, in bytes, one a rank; parts lie end to end.
  virtual Result<Work> all_to_all_v(Buffer in, std::span<const Bytes> in_parts, Buffer out,
                                    std::span<const Bytes> out_parts, DType type, Stream stream) = 0;
  // First in, first out for each pair of ranks and tag; 0 <= tag < 65536. A rank may not send to itself.
  virtual Result<Work> send(Buffer in, DType type, std::int32_t peer, std::uint32_t tag, Stream stream) = 0;
  virtual Result<Work> recv(Buffer out, DType type, std::int32_t peer, std::uint32_t tag, Stream stream) = 0;
  virtual Result<Work> barrier(Stream stream) = 0;

  // Every pending and later Work of this rank ends with `why` within 1 s. Any thread; idempotent; the first one counts.
  virtual void abort(Error why) noexcept = 0;
  // Returns when nothing of the group is left in this process, and removes its keys. Legal at any time, twice too.
  virtual Status close(Deadline deadline) = 0;
  virtual void* query(std::string_view interface_id) = 0;

  // Behind Work; call those.
  virtual Status wait(std::uint64_t ticket, Deadline deadline) = 0;
  virtual bool done(std::uint64_t ticket) = 0;
};

inline Status Work::wait(Deadline deadline) { return group_ == nullptr ? Status{} : group_->wait(ticket_, deadline); }
inline bool Work::done() { return group_ == nullptr || group_->done(ticket_); }

class Communicator {
 public:
  static constexpr const char* plugin_kind = "communicator";
  static constexpr std::uint32_t interface_version = 1;

  virtual ~Communicator() = default;
  // Meets the other ranks through the store. deadline_exceeded names the ranks that did not come. Any thread; several
  // opens may be under way at once.
  virtual Result<std::unique_ptr<Group>> open(const GroupSpec& spec) = 0;
  virtual void* query(std::string_view interface_id) = 0;
};

}  // namespace weft
