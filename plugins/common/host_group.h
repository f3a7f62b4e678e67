// The Group of a communicator for host memory: checks, tickets, deadlines, and what breaks it. A Transport moves the
// bytes; a group of one rank needs none.
//
// Collectives are recorded by the call and carried out by wait(), so that the deadline given there counts; the next
// operation and done() finish one that nobody has waited for.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "plugins/common/arguments.h"
#include "plugins/common/breakage.h"
#include "plugins/common/meeting.h"
#include "plugins/common/transport.h"

namespace weft::plugins {

struct AlignedDelete {
  void operator()(std::byte* memory) const noexcept;
};
using AlignedMemory = std::unique_ptr<std::byte, AlignedDelete>;
// Zeroes, on the boundary of a cache line; null if there is no memory left.
AlignedMemory allocate_aligned(Bytes bytes) noexcept;

class HostGroup final : public Group {
 public:
  // `plugin`: the name for messages. `meeting` and `transport` are empty in a group of one.
  HostGroup(std::string plugin, const GroupSpec& spec, std::optional<Meeting> meeting,
            std::unique_ptr<Transport> transport);
  ~HostGroup() override;

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
  // Checks that the group can take another operation and finishes the one before.
  Status prepare(Stream stream);
  Result<Work> record(Kind kind, Buffer in, Buffer out, DType type, ReduceOp op, std::int32_t root);
  Result<Work> message(Buffer data, DType type, std::int32_t peer, std::uint32_t tag, Stream stream, bool outgoing);
  Status finish_pending(Deadline deadline);
  Outcome run_alone(const Operation& operation);

  // The first reason wins; returns the one that counts.
  Error break_with(const Failure& failure);
  Error explain(const Failure& failure) const;

  const std::string plugin_;
  const GroupSpec spec_;
  const std::optional<Meeting> meeting_;
  const Arguments arguments_;
  Breakage breakage_;
  std::unique_ptr<Transport> transport_;
  bool open_ = true;  // no close() yet: the transport may be used

  std::uint64_t tickets_ = 0;
  std::uint64_t sequence_ = 0;  // of collectives
  std::uint64_t pending_ = 0;   // ticket of a collective that has been called and not yet carried out; 0: none
  Operation operation_;         // that one
  Deadline deadline_{Time::max()};
  std::vector<Bytes> in_parts_;
  std::vector<Bytes> out_parts_;
  std::vector<std::uint64_t> unfinished_;  // messages that close() cut off
  std::vector<AlignedMemory> allocated_;   // in a group of one

  std::mutex mutex_;  // held while abort() stops the transport, and while close() ends it
};

}  // namespace weft::plugins
