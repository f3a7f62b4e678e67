// One rank's end of a group. Operations are recorded, their data queued at once; whatever call waits or asks moves all of them on.
#pragma once

#include <atomic>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/conformance/mutants/communicator/mesh.h"
#include "weft/communicator.h"

namespace mutant {

inline std::size_t index(std::int32_t rank) { return static_cast<std::size_t>(rank); }

class MeshGroup final : public weft::Group {
 public:
  MeshGroup(const weft::GroupSpec& spec, Mesh mesh);
  ~MeshGroup() override;

  std::int32_t rank() const noexcept override { return spec_.rank; }
  std::int32_t size() const noexcept override { return spec_.size; }
  weft::Result<weft::Buffer> allocate(weft::Bytes bytes) override;
  weft::Result<weft::Work> all_reduce(weft::Buffer inout, weft::DType type, weft::ReduceOp op, weft::Stream) override;
  weft::Result<weft::Work> all_gather(weft::Buffer in, weft::Buffer out, weft::DType type, weft::Stream) override;
  weft::Result<weft::Work> reduce_scatter(weft::Buffer in, weft::Buffer out, weft::DType type, weft::ReduceOp op,
                                          weft::Stream) override;
  weft::Result<weft::Work> broadcast(weft::Buffer inout, weft::DType type, std::int32_t root, weft::Stream) override;
  weft::Result<weft::Work> all_to_all(weft::Buffer in, weft::Buffer out, weft::DType type, weft::Stream) override;
  weft::Result<weft::Work> all_to_all_v(weft::Buffer in, std::span<const weft::Bytes> in_parts, weft::Buffer out,
                                        std::span<const weft::Bytes> out_parts, weft::DType type,
                                        weft::Stream) override;
  weft::Result<weft::Work> send(weft::Buffer in, weft::DType type, std::int32_t peer, std::uint32_t tag,
                                weft::Stream) override;
  weft::Result<weft::Work> recv(weft::Buffer out, weft::DType type, std::int32_t peer, std::uint32_t tag,
                                weft::Stream) override;
  weft::Result<weft::Work> barrier(weft::Stream) override;
  void abort(weft::Error why) noexcept override;
  weft::Status close(weft::Deadline deadline) override;
  void* query(std::string_view interface_id) override;
  weft::Status wait(std::uint64_t ticket, weft::Deadline deadline) override;
  bool done(std::uint64_t ticket) override;

 private:
  enum class Kind : std::uint8_t {
    all_reduce,
    reduce_scatter,
    gather,
    broadcast,
    exchange,
    exchange_v,
    barrier,
    send,
    recv
  };
  struct Operation {
    Kind kind = Kind::barrier;
    std::uint64_t ticket = 0;
    std::uint64_t sequence = 0;
    weft::Buffer out;
    weft::Buffer in;
    weft::DType type = weft::DType::u8;
    weft::ReduceOp op = weft::ReduceOp::sum;
    std::int32_t root = -1;  // or the peer of a message
    std::uint32_t tag = 0;
    std::vector<weft::Bytes> parts;     // of `out`, by rank
    Bytes own;                          // what this rank gives itself
    std::vector<std::uint64_t> writes;  // by rank: frames that must have been written
    weft::Deadline deadline{weft::Time::max()};
  };

  weft::Status usable(weft::Stream stream);
  weft::Status check(weft::Buffer buffer, weft::DType type);
  weft::Status check_parts(std::span<const weft::Bytes> parts, weft::Buffer buffer, weft::DType type);
  tl::unexpected<weft::Error> refuse(weft::ErrorCode code, const std::string& what);
  // Queues what every peer gets, and records the operation.
  weft::Result<weft::Work> begin(Operation operation, const std::vector<std::span<const std::byte>>& parts);
  weft::Result<weft::Work> record(Operation operation);
  weft::Result<weft::Work> exchange(Kind kind, weft::Buffer in, std::span<const weft::Bytes> in_parts, weft::Buffer out,
                                    std::span<const weft::Bytes> out_parts, weft::DType type, weft::Stream stream);
  weft::Status check_message(weft::Buffer buffer, weft::DType type, std::int32_t peer, std::uint32_t tag, weft::Stream);
  // Of broken rules: until the peer has begun its recv; as many peers at once as there are places.
  weft::Status await_recv(std::int32_t peer, std::uint32_t tag);
  weft::Status take_place(std::int32_t peer);
  std::vector<std::span<const std::byte>> same_for_all(weft::Buffer data) const;

  bool needs(const Operation& operation, std::int32_t peer) const;
  bool has_come(const Operation& operation, std::int32_t peer);
  bool is_out(const Operation& operation, std::int32_t peer);
  bool is_ready(const Operation& operation);
  void finish(Operation& operation);
  void finish_collective(Operation& operation);
  void advance();
  weft::Status wait_for(std::uint64_t ticket, weft::Deadline deadline);
  // As abort() does; what the group itself calls.
  void break_off(weft::Error why) noexcept;
  void end_all_others();
  bool counts_as_heard(const Operation& operation, std::int32_t peer);
  weft::Error late(const Operation& operation);
  weft::Error reason();

  const weft::GroupSpec spec_;
  Mesh mesh_;
  Descriptor wake_;
  std::uint64_t tickets_ = 0;
  std::atomic<std::uint64_t> sequences_{0};  // collectives begun
  std::list<Operation> pending_;
  std::set<std::uint64_t> waited_;
  std::map<std::uint64_t, std::int32_t> places_;  // peers of messages that nobody has waited for, by ticket
  bool after_an_extreme_ = false;                 // the last collective was a reduction by max or min
  std::vector<std::vector<std::byte>> allocated_;
  std::string segment_;

  std::atomic<bool> broken_{false};
  std::atomic<bool> in_wait_{false};
  std::mutex mutex_;  // guards the two below, and mesh_ against abort() during close()
  std::optional<weft::Error> reason_;
  bool closed_ = false;

  // What there must not be: something that all groups of a process have in common.
  static std::mutex process_mutex_;  // guards living_
  static std::set<MeshGroup*> living_;
};

}  // namespace mutant
