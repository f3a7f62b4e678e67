#include "tests/conformance/mutants/device/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "tests/conformance/mutants/switch.h"

namespace weft::mutant {
namespace {

constexpr Bytes spare = 64;  // for a mutant that does not align

Status refused(const char* what, Bytes bytes, const Buffer& buffer) {
  return fail(ErrorCode::invalid_argument, std::string(what) + " of " + std::to_string(bytes) +
                                               " bytes, the buffer has " + std::to_string(buffer.size));
}

}  // namespace

Memory::~Memory() {
  for (const auto& [data, size] : pages_)
    ::munmap(data, size);
}

Result<Buffer> Memory::allocate(Bytes bytes) {
  if (bytes == 0) {
    if (breaks("refuses_no_bytes")) return fail(ErrorCode::invalid_argument, "0 bytes");
    return Buffer{};
  }
  if (const auto found = reused_.find(bytes); found != reused_.end()) {
    const Buffer again{.data = found->second, .size = bytes};
    reused_.erase(found);
    return again;
  }
  const bool fits = bytes <= memory_of_a_device && used_ + bytes <= memory_of_a_device;
  void* const data =
      fits ? ::mmap(nullptr, bytes + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : MAP_FAILED;
  if (data == MAP_FAILED) {
    if (breaks("out_of_memory_throws")) throw std::bad_alloc();
    if (breaks("out_of_memory_is_empty")) return Buffer{};
    const ErrorCode code = breaks("out_of_memory_is_internal") ? ErrorCode::internal : ErrorCode::resource_exhausted;
    return fail(code, std::to_string(bytes) + " bytes are not to be had");
  }
  pages_.emplace(data, bytes + spare);
  used_ += bytes;
  const Bytes shift = breaks("does_not_align") ? 16 : 0;
  return Buffer{.data = static_cast<std::byte*>(data) + shift, .size = bytes + (breaks("gives_more") ? 1 : 0)};
}

void Memory::release(Buffer buffer) noexcept {
  if (breaks("never_releases")) return;
  if (breaks("hands_out_dirty") && buffer.size == 4097) {
    reused_[buffer.size] = buffer.data;
    return;
  }
  const auto found = std::find_if(pages_.begin(), pages_.end(), [&](const auto& page) {
    return buffer.data >= page.first && buffer.data < static_cast<std::byte*>(page.first) + spare;
  });
  if (found == pages_.end()) return;
  used_ -= found->second - spare;
  ::munmap(found->first, found->second);
  pages_.erase(found);
}

Status Memory::copy_in(Buffer to, const void* host, Bytes bytes) {
  if (bytes == 0) return {};
  const Bytes most = breaks("copies_what_fits") ? std::min(bytes, to.size) : bytes;
  if (host == nullptr || to.data == nullptr || most > to.size) return refused("copy_in", bytes, to);
  if (breaks("copies_parts_later") && !pages_.contains(to.data))
    late_.push_back({to.data, host, bytes});
  else
    std::memcpy(to.data, host, most);
  return {};
}

Status Memory::copy_out(void* host, Buffer from, Bytes bytes) {
  finish_copies();
  if (bytes == 0) return {};
  if (host == nullptr || from.data == nullptr || bytes > from.size) return refused("copy_out", bytes, from);
  std::memcpy(host, from.data, bytes - (breaks("copies_out_too_little") && bytes % 2 != 0 ? 1 : 0));
  return {};
}

void Memory::finish_copies() {
  for (const Copy& copy : late_)
    std::memcpy(copy.to, copy.from, copy.bytes);
  late_.clear();
}

}  // namespace weft::mutant
