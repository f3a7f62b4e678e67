// A file as read-only memory.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "weft/status.h"

namespace weft::engine {

class MappedFile {
 public:
  // not_found, permission_denied, or invalid_argument for what is no regular file; messages name the path. An
  // empty file maps to an empty span.
  static Result<MappedFile> open(const std::string& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }

 private:
  MappedFile(const std::byte* data, std::size_t size) noexcept : data_(data), size_(size) {}

  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace weft::engine
