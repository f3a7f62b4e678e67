#include "plugins/comm_shm/transport.h"

#include <fmt/format.h>
#include <sched.h>

#include <bit>

namespace weft::comm_shm {

ShmTransport::ShmTransport(Parts parts)
    : parts_(std::move(parts)), mail_(*parts_.peers), collectives_(*parts_.peers, parts_.one_shot) {}

ShmTransport::~ShmTransport() { close(); }

Outcome ShmTransport::enter(Duration spin, Deadline deadline) {
  Peers& peers = *parts_.peers;
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  if (::sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
    for (std::size_t cpu = 0; cpu < peers.own().cpus.size() * 64; ++cpu)
      if (CPU_ISSET(cpu, &cpus)) peers.own().cpus[cpu / 64] |= std::uint64_t{1} << cpu % 64;
  peers.own().state.store(State::open, std::memory_order_seq_cst);
  peers.notify_all();
  for (std::int32_t step = 1; step < peers.size(); ++step) {
    const std::int32_t peer = (peers.rank() + step) % peers.size();
    const RankControl& control = peers.segment().control(peer);
    // Who has been here and gone again was here.
    const auto here =
        peers.wait(peer, deadline, [&] { return control.state.load(std::memory_order_seq_cst) != State::absent; });
    if (!here) return tl::unexpected<Failure>(here.error());
    if (!*here)
      return plugins::failed(peer, Error{ErrorCode::deadline_exceeded, "did not map the shared memory in time", true});
  }
  peers.set_spin(cores_of_all() >= peers.size() ? spin : Duration::zero());
  return {};
}

// How many cores the ranks may use between them. Where they are fewer than the ranks, one that watches keeps another
// from working.
std::int32_t ShmTransport::cores_of_all() const noexcept {
  std::int32_t cores = 0;
  for (std::size_t word = 0; word < std::tuple_size_v<decltype(RankControl::cpus)>; ++word) {
    std::uint64_t all = 0;
    for (std::int32_t rank = 0; rank < parts_.peers->size(); ++rank)
      all |= parts_.peers->segment().control(rank).cpus[word];
    cores += std::popcount(all);
  }
  return cores;
}

Result<Buffer> ShmTransport::allocate(Bytes bytes) {
  const Segment& segment = parts_.peers->segment();
  const std::int32_t rank = parts_.peers->rank();
  const Bytes left = segment.layout().heap - heap_used_;
  if (parts_.memory && bytes <= left) {
    std::byte* begin = segment.heap(rank) + heap_used_;
    if (bytes != 0) WEFT_TRY(parts_.memory->commit(static_cast<Bytes>(begin - parts_.memory->base()), bytes));
    heap_used_ += std::min(left, (bytes + line - 1) / line * line);
    return Buffer{.data = begin, .size = bytes};
  }
  // Memory of this process alone is as right, and costs a copy.
  plugins::AlignedMemory memory = plugins::allocate_aligned(bytes);
  if (!memory) return fail(ErrorCode::resource_exhausted, fmt::format("cannot allocate {} bytes", bytes));
  allocated_.push_back(std::move(memory));
  return Buffer{.data = allocated_.back().get(), .size = bytes};
}

void ShmTransport::close() noexcept {
  if (closed_) return;
  closed_ = true;
  if (parts_.watcher) parts_.watcher->forget(*parts_.peers);
  parts_.peers->say_closed();
  parts_.watcher.reset();
  parts_.peers->drop_processes();
  // The mapping stays as long as allocate()'s buffers must.
  if (heap_used_ == 0) parts_.memory.reset();
}

}  // namespace weft::comm_shm
