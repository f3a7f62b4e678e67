// Memory as it crosses the plugin boundary: where it is and how long it is. A Buffer owns nothing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace weft {

using Bytes = std::uint64_t;

enum class MemoryKind : std::uint8_t {
  host = 0,    // any thread of this process may read and write it
  pinned = 1,  // host memory that a device's copy engine reaches without a bounce
  device = 2,  // an accelerator's; only that device's plugin, and communicators made for it, may touch it
};

// A span of bytes. Lent for the length of a call unless the call's contract says longer. Copyable, any thread.
struct Buffer {
  void* data = nullptr;
  Bytes size = 0;  // bytes
  MemoryKind kind = MemoryKind::host;
  std::int32_t device = -1;  // index among the node's devices of its kind; -1 for host memory

  // The part [offset, offset + length) in bytes; the caller keeps inside `size`.
  Buffer slice(Bytes offset, Bytes length) const noexcept {
    return {static_cast<std::byte*>(data) + offset, length, kind, device};
  }
  template <class T>
  T* as() const noexcept {
    return static_cast<T*>(data);
  }
};

// An ordered queue of work on a device. Opaque; says what it is, so that a communicator for GPUs can use the native
// stream. A host device runs everything before the call returns, and its streams are `host`.
struct Stream {
  enum class Kind : std::uint8_t { host = 0, cuda = 1 };
  Kind kind = Kind::host;
  void* native = nullptr;  // cudaStream_t for cuda; null for host
};

}  // namespace weft
