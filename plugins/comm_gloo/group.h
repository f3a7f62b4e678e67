// One rank's end of a group. Collectives are recorded by the call and carried out by wait(), so that the
// deadline given there counts; the next operation, done() and close() finish one that nobody has waited for.
// Messages move by themselves (postbox.h).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "plugins/comm_gloo/exchange.h"
#include "plugins/comm_gloo/frame.h"
#include "plugins/comm_gloo/postbox.h"
#include "weft/communicator.h"

namespace gloo {
class Context;
namespace transport::tcp {
class Device;
}
}  // namespace gloo

namespace weft::comm_gloo {

struct AlignedDelete {
  void operator()(std::byte* memory) const noexcept { ::operator delete (memory, std::align_val_t{64}); }
};
using AlignedMemory = std::unique_ptr<std::byte, AlignedDelete>;
// Zeroes, on the boundary of a cache line; null if there is no memory left.
AlignedMemory allocate_aligned(Bytes bytes) noexcept;

// The connections of an open group; all empty in a group of one.
struct Fabric {
  std::shared_ptr<gloo::transport::tcp::Device> device;
  std::shared_ptr<gloo::Context> lane_mesh;  // outlives the exchange
  AlignedMemory outbox;                      // max_frame bytes; the lanes write from it
  std::unique_ptr<Exchange> exchange;
  std::unique_ptr<Postbox> postbox;
};

class GlooGroup final : public Group {
 public:
  // `gather_bytes`: longer all_reduces of more than two ranks go as reduce_scatter and all_gather.
  GlooGroup(const GroupSpec& spec, Fabric fabric, Bytes gather_bytes);
  ~GlooGroup() override;

  std::int32_t rank() const noexcept override { return spec_.rank; }
  std::int32_t size() const noexcept override { return spec_.size; }
  Result<Buffer> allocate(Bytes bytes) override;

  Result<Work> all_reduce(Buffer inout, DType type, ReduceOp op, Stream stream) override;
  Result<Work> all_gather(Buffer in, Buffer out, DType type, Stream stream) override;
  Result<Work> reduce_scatter(Buffer in, Buffer out, DType type, ReduceOp op, Stream stream) override;
  Result<Work> broadcast(Buffer inout, DType type, std::int32_t root, Stream stream) override;
  Result<Work> all_to_all(Buffer in, Buffer out, DType type, Stream stream) override;
  Result<Work> all_to_all_v(Buffer in, std::span<const Bytes> in_parts, Buffer out, std::span<const Bytes> out_parts,
                            DType type, Stream stream) override;
  Result<Work> send(Buffer in, DType type, std::int32_t peer, std::uint32_t tag, Stream stream) override;
  Result<Work> recv(Buffer out, DType type, std::int32_t peer, std::uint32_t tag, Stream stream) override;
  Result<Work> barrier(Stream stream) override;

  void abort(Error why) noexcept override;
  Status close(Deadline deadline) override;
  void* query(std::string_view) override { return nullptr; }

  Status wait(std::uint64_t ticket, Deadline deadline) override;
  bool done(std::uint64_t ticket) override;

 private:
  // A collective that has been called and not yet carried out.
  struct Pending {
    std::uint64_t ticket = 0;  // 0: none
    FrameHeader header;
    DType type = DType::u8;
    ReduceOp op = ReduceOp::sum;
    Buffer in;
    Buffer out;
    Deadline deadline{Time::max()};
  };

  // Checks that the group can take another operation and finishes the one before.
  Status prepare(Stream stream);
  Status check_buffer(Buffer buffer, DType type, const char* what) const;
  Status check_rank(std::int32_t rank, const char* what) const;
  Status check_op(ReduceOp op) const;
  Result<Work> record(Kind kind, Buffer in, Buffer out, DType type, ReduceOp op, std::int32_t root);
  Result<Work> message(Buffer data, DType type, std::int32_t peer, std::uint32_t tag, Stream stream, bool outgoing);

  // collectives.cpp: carry out pending_.
  Status finish_pending(Deadline deadline);
  Outcome run(const Pending& pending, Deadline deadline);
  Outcome run_exchange(const FrameHeader& header, bool always, Deadline deadline, const Take& take);
  Outcome run_reduce(const Pending& pending, std::byte* out, const FrameHeader& header, Deadline deadline);
  Outcome run_gather(const std::byte* own, std::span<const Bytes> lengths, std::byte* out, const FrameHeader& header,
                     Deadline deadline);
  Outcome run_all_reduce(const Pending& pending, Deadline deadline);
  Outcome run_all_to_all(const Pending& pending, Deadline deadline);

  // The first reason wins; returns the one that counts. Ends all connections.
  Error break_with(const Failure& failure);
  Error explain(const Failure& failure) const;
  // The error of a call on a group that is broken or closed; nullopt if it is neither.
  std::optional<Error> refusal();

  const GroupSpec spec_;
  Fabric fabric_;
  const Bytes gather_bytes_;
  std::uint64_t tickets_ = 0;
  std::uint64_t sequence_ = 0;  // of collectives
  Pending pending_;
  std::vector<Part> parts_;
  std::vector<Bytes> in_parts_;
  std::vector<Bytes> out_parts_;
  std::vector<const std::byte*> sources_;
  std::vector<AlignedMemory> allocated_;
  std::vector<std::uint64_t> unfinished_;  // messages that close() cut off

  std::atomic<bool> broken_{false};
  std::mutex mutex_;  // guards all below, and fabric_ against abort() during close()
  std::optional<Error> reason_;
  bool reported_ = false;  // some operation has ended with the reason
  bool closed_ = false;
};

}  // namespace weft::comm_gloo
