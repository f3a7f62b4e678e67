#include "kernels/common/host_memory.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <limits>

namespace weft {
namespace {

constexpr Bytes alignment = 64;
// From here on memory comes in pages of its own: no zeroing by hand, and huge pages where the kernel has
// them.
constexpr Bytes mapping_threshold = Bytes{1} << 20;

}  // namespace

Result<HostMemory> HostMemory::allocate(Bytes bytes) {
  if (bytes == 0) return HostMemory();
  const auto refuse = [&] {
    return fail(ErrorCode::resource_exhausted, fmt::format("{} bytes of host memory are not to be had", bytes));
  };
  if (bytes > Bytes{std::numeric_limits<std::ptrdiff_t>::max()} - alignment) return refuse();
  if (bytes >= mapping_threshold) {
    void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) return refuse();
    madvise(data, bytes, MADV_HUGEPAGE);  // advice: a kernel without huge pages is as right, only slower
    return HostMemory(data, bytes);
  }
  void* data = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (data == nullptr) return refuse();
  std::memset(data, 0, bytes);
  return HostMemory(data, bytes);
}

HostMemory::~HostMemory() {
  if (size_ >= mapping_threshold) {
    munmap(data_, size_);
  } else {
    std::free(data_);
  }
}

Result<Buffer> HostHeap::allocate(Bytes bytes) {
  return guarded([&]() -> Result<Buffer> {
    WEFT_ASSIGN(memory, HostMemory::allocate(bytes));
    const Buffer buffer{.data = memory.data(), .size = bytes};
    if (buffer.data != nullptr) blocks_.emplace(buffer.data, std::move(memory));
    return buffer;
  });
}

void HostHeap::release(Buffer buffer) noexcept { blocks_.erase(buffer.data); }

Status copy_to_buffer(Buffer to, const void* host, Bytes bytes) {
  if (bytes == 0) return {};
  if (host == nullptr || to.data == nullptr || to.kind == MemoryKind::device || bytes > to.size)
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("copy_in: {} bytes into a buffer of {}; both must be host memory that holds them", bytes, to.size));
  std::memmove(to.data, host, bytes);
  return {};
}

Status copy_from_buffer(void* host, Buffer from, Bytes bytes) {
  if (bytes == 0) return {};
  if (host == nullptr || from.data == nullptr || from.kind == MemoryKind::device || bytes > from.size)
    return fail(ErrorCode::invalid_argument,
                fmt::format("copy_out: {} bytes from a buffer of {}; both must be host memory that holds them", bytes,
                            from.size));
  std::memmove(host, from.data, bytes);
  return {};
}

Bytes physical_memory() noexcept {
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long page = sysconf(_SC_PAGESIZE);
  return pages > 0 && page > 0 ? static_cast<Bytes>(pages) * static_cast<Bytes>(page) : 0;
}

}  // namespace weft
