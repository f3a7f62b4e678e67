// Ranks as threads over one mapping: what the plugin does with a memfd mapped once a rank, here all at the same addresses,
// so that the thread sanitizer sees every access, and a test can write into a rank's memory itself.
#pragma once

#include <sys/mman.h>

#include <memory>

#include "plugins/comm_shm/transport.h"
#include "plugins/common/host_group.h"
#include "tests/support/communicator/ranks.h"

namespace weft::test {

class OneMapping {
 public:
  explicit OneMapping(std::int32_t size, Bytes memory = 1 << 20)
      : layout_(*comm_shm::Layout::make(size, memory, 0)),
        base_(static_cast<std::byte*>(
            ::mmap(nullptr, layout_.total(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {}
  ~OneMapping() { ::munmap(base_, layout_.total()); }
  OneMapping(const OneMapping&) = delete;
  OneMapping& operator=(const OneMapping&) = delete;

  comm_shm::Segment segment() const { return {base_, layout_}; }

  // This rank's end; waits for the others.
  std::unique_ptr<Group> open(std::int32_t rank, Duration timeout = patience) const {
    auto transport = std::make_unique<comm_shm::ShmTransport>(comm_shm::ShmTransport::Parts{
        .memory = std::nullopt,
        .peers = std::make_unique<comm_shm::Peers>(segment(), rank, std::vector<plugins::Descriptor>{}),
        .watcher = nullptr,
        .one_shot = 8 << 10});
    EXPECT_TRUE(transport->enter(std::chrono::microseconds(5), Deadline::in(patience)));
    return std::make_unique<plugins::HostGroup>(
        "shm", GroupSpec{.id = "mapped", .rank = rank, .size = layout_.size, .operation_timeout = timeout},
        std::nullopt, std::move(transport));
  }

  void with_group(const std::function<void(Group&)>& body) const {
    on_threads(layout_.size, [&](std::int32_t rank) {
      const auto group = open(rank);
      body(*group);
    });
  }

 private:
  const comm_shm::Layout layout_;
  std::byte* const base_;
};

}  // namespace weft::test
