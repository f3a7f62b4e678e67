#include "plugins/comm_shm/memory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "plugins/common/errno_text.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

namespace weft::comm_shm {
namespace {

constexpr int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

}  // namespace

Result<plugins::Descriptor> make_memory(Bytes bytes) {
  constexpr unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  // Kernels from 6.3 may insist that nothing in it can be executed; older ones do not know the flag.
  plugins::Descriptor file(::memfd_create("weft-shm", flags | MFD_NOEXEC_SEAL));
  if (!file && errno == EINVAL) file = plugins::Descriptor(::memfd_create("weft-shm", flags));
  if (!file) return fail(ErrorCode::resource_exhausted, fmt::format("memfd_create: {}", plugins::errno_text(errno)));
  if (::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0)
    return fail(ErrorCode::resource_exhausted,
                fmt::format("cannot make {} bytes of shared memory: {}", bytes, plugins::errno_text(errno)));
  if (::fcntl(file.get(), F_ADD_SEALS, seals) != 0)
    return fail(ErrorCode::unavailable, fmt::format("cannot seal shared memory: {}", plugins::errno_text(errno)));
  return file;
}

Result<Memory> Memory::map(plugins::Descriptor file, Bytes bytes) {
  struct stat status {};
  const int sealed = ::fcntl(file.get(), F_GET_SEALS);
  if (sealed < 0 || (sealed & seals) != seals || ::fstat(file.get(), &status) != 0 ||
      static_cast<Bytes>(status.st_size) != bytes)
    return fail(ErrorCode::refused, fmt::format("the group's shared memory is not a sealed one of {} bytes", bytes));
  void* base = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (base == MAP_FAILED)
    return fail(ErrorCode::resource_exhausted,
                fmt::format("cannot map {} bytes: {}", bytes, plugins::errno_text(errno)));
  return Memory(std::move(file), static_cast<std::byte*>(base), bytes);
}

Memory::Memory(Memory&& other) noexcept
    : file_(std::move(other.file_)), base_(std::exchange(other.base_, nullptr)), bytes_(other.bytes_) {}

Memory::~Memory() {
  if (base_ != nullptr) ::munmap(base_, bytes_);
}

Status Memory::commit(Bytes offset, Bytes bytes) const {
  int failed = 0;
  do {
    failed = ::fallocate(file_.get(), 0, static_cast<off_t>(offset), static_cast<off_t>(bytes)) == 0 ? 0 : errno;
  } while (failed == EINTR);
  if (failed == 0) return {};
  return fail(
      ErrorCode::resource_exhausted,
      fmt::format("this machine has no {} bytes of memory left for the group: {}", bytes, plugins::errno_text(failed)));
}

}  // namespace weft::comm_shm
