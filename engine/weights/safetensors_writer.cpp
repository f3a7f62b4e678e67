#include "engine/weights/safetensors_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

namespace weft::engine {
namespace {

constexpr Bytes piece_bytes = 1u << 20;

// A file that takes its name only once it is whole.
class NewFile {
 public:
  explicit NewFile(const std::string& path) : path_(path), beside_(path + ".new") {
    file_ = ::open(beside_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file_ < 0) errno_ = errno;
  }
  ~NewFile() {
    if (file_ < 0) return;
    ::close(file_);
    (void)::unlink(beside_.c_str());
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  Status write(const void* data, std::size_t size) {
    const char* from = static_cast<const char*>(data);
    while (file_ >= 0 && size > 0) {
      const ssize_t count = ::write(file_, from, size);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return broken(errno);
      from += count;
      size -= static_cast<std::size_t>(count);
    }
    return file_ < 0 ? broken(errno_) : Status();
  }
  Status take_name() {
    if (file_ < 0) return broken(errno_);
    if (::fsync(file_) != 0) return broken(errno);
    const int closed = ::close(file_);
    const int code = errno;
    file_ = -1;
    if (closed == 0 && std::rename(beside_.c_str(), path_.c_str()) == 0) return {};
    const int reason = closed == 0 ? errno : code;
    (void)::unlink(beside_.c_str());
    return broken(reason);
  }

 private:
  Status broken(int code) const {
    const bool full = code == ENOSPC || code == EDQUOT || code == EFBIG;
    return fail(full ? ErrorCode::resource_exhausted : ErrorCode::permission_denied,
                fmt::format("{}: cannot be written: {}", path_, std::strerror(code)));
  }

  const std::string path_;
  const std::string beside_;
  int file_ = -1;
  int errno_ = 0;
};

Bytes bytes_of(const NewTensor& tensor) { return static_cast<Bytes>(tensor.elements()) * size_of(tensor.type); }

const char* stored_name(DType type) {
  switch (type) {
    case DType::f16: return "F16";
    case DType::bf16: return "BF16";
    default: return "F32";
  }
}

}  // namespace

std::int64_t NewTensor::elements() const noexcept {
  std::int64_t product = 1;
  for (const std::int64_t size : shape)
    product *= size;
  return product;
}

std::string safetensors_head(std::span<const NewTensor> tensors, const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header;
  if (!metadata.empty()) header["__metadata__"] = metadata;
  Bytes at = 0;
  for (const NewTensor& tensor : tensors) {
    const Bytes end = at + bytes_of(tensor);
    header[tensor.name] = {{"dtype", stored_name(tensor.type)}, {"shape", tensor.shape}, {"data_offsets", {at, end}}};
    at = end;
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  std::string length(8, '\0');
  for (std::size_t i = 0; i < length.size(); ++i)
    length[i] = static_cast<char>(text.size() >> (8 * i));
  return length + text;
}

Status write_safetensors(const std::string& path, std::span<const NewTensor> tensors,
                         const std::map<std::string, std::string>& metadata, const TensorFiller& fill) {
  NewFile file(path);
  const std::string head = safetensors_head(tensors, metadata);
  WEFT_TRY(file.write(head.data(), head.size()));
  std::vector<std::byte> piece(piece_bytes);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const Bytes size = bytes_of(tensors[i]);
    for (Bytes at = 0; at < size; at += piece_bytes) {
      const std::span<std::byte> part(piece.data(), std::min(piece_bytes, size - at));
      fill(i, at, part);
      WEFT_TRY(file.write(part.data(), part.size()));
    }
  }
  return file.take_name();
}

Status write_whole_file(const std::string& path, std::string_view text) {
  NewFile file(path);
  WEFT_TRY(file.write(text.data(), text.size()));
  return file.take_name();
}

}  // namespace weft::engine
