// Memory of devices that compute in host memory.
#pragma once

#include <cstring>
#include <new>
#include <stdexcept>
#include <unordered_map>
#include <utility>

#include "weft/buffer.h"
#include "weft/status.h"

namespace weft {

// Zeroed bytes, aligned to 64 at least; large ones are pages that the kernel fills in at first touch. Owns
// them.
class HostMemory {
 public:
  // resource_exhausted when there is no more. No bytes: null.
  static Result<HostMemory> allocate(Bytes bytes);

  HostMemory() = default;
  HostMemory(HostMemory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  HostMemory& operator=(HostMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~HostMemory();

  void* data() const noexcept { return data_; }
  Bytes size() const noexcept { return size_; }
  template <class T>
  T* as() const noexcept {
    return static_cast<T*>(data_);
  }

 private:
  HostMemory(void* data, Bytes size) noexcept : data_(data), size_(size) {}

  void* data_ = nullptr;
  Bytes size_ = 0;
};

// The buffers that a device has handed out. One thread at a time, as the device. What is left is freed at the
// end.
class HostHeap {
 public:
  Result<Buffer> allocate(Bytes bytes);
  void release(Buffer buffer) noexcept;  // one that allocate() did not return is left alone

 private:
  std::unordered_map<void*, HostMemory> blocks_;
};

// Copies between any host memory and a device's. invalid_argument past the end of `to` or `from`.
Status copy_to_buffer(Buffer to, const void* host, Bytes bytes);
Status copy_from_buffer(void* host, Buffer from, Bytes bytes);

// Bytes of memory in this machine; 0: unknown.
Bytes physical_memory() noexcept;

// Element `index` of an array that may lie at any address, as tensors in a mapped file may.
template <class T>
T load_unaligned(const void* data, std::int64_t index) noexcept {
  T value;
  std::memcpy(&value, static_cast<const std::byte*>(data) + index * static_cast<std::int64_t>(sizeof(T)), sizeof(T));
  return value;
}

// Runs what may allocate; no exception comes out.
template <class Function>
auto guarded(Function&& function) noexcept -> decltype(function()) {
  try {
    return function();
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::resource_exhausted, "no memory left");
  } catch (const std::exception& error) {
    return fail(ErrorCode::internal, error.what());
  }
}

}  // namespace weft
