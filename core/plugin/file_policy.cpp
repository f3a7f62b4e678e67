#include "core/plugin/file_policy.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <utility>

namespace weft {
namespace {

namespace fs = std::filesystem;

tl::unexpected<Error> refused(std::string message) { return fail(ErrorCode::refused, std::move(message)); }

std::string reason() { return std::strerror(errno); }

Status check_owner(const struct stat& file) {
  struct stat executable {};
  const bool known = ::stat("/proc/self/exe", &executable) == 0;
  if (file.st_uid == 0 || file.st_uid == ::geteuid() || (known && file.st_uid == executable.st_uid)) return {};
  return refused(fmt::format(
      "its owner is user {}; expected root, the current user ({}) or the owner of weft; change it with chown",
      file.st_uid, ::geteuid()));
}

// `what` is "the file" or "the directory /x". A sticky directory lets nobody replace what another owns.
Status check_writers(const struct stat& status, const std::string& what, bool strict,
                     std::vector<std::string>& warnings) {
  const bool sticky = S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX) != 0;
  if (sticky) return {};
  const unsigned mode = status.st_mode & 07777u;
  if ((mode & S_IWOTH) != 0)
    return refused(
        fmt::format("{} is world-writable (mode {:04o}); anybody could change what runs; chmod o-w", what, mode));
  if ((mode & S_IWGRP) == 0) return {};
  if (strict)
    return refused(
        fmt::format("{} is group-writable (mode {:04o}), which plugins.strict refuses; chmod g-w", what, mode));
  warnings.push_back(fmt::format("{} is group-writable (mode {:04o})", what, mode));
  return {};
}

Status check_directory(const fs::path& directory, bool strict, std::vector<std::string>& warnings) {
  struct stat status {};
  if (::stat(directory.c_str(), &status) != 0)
    return refused(fmt::format("cannot look at directory {}: {}", directory.string(), reason()));
  return check_writers(status, "the directory " + directory.string(), strict, warnings);
}

}  // namespace

Result<PluginFile> PluginFile::open(const std::string& path, bool strict) {
  std::error_code error;
  const fs::path canonical = fs::canonical(path, error);
  if (error) return fail(ErrorCode::not_found, fmt::format("cannot find it: {}", error.message()));
  // NONBLOCK: a FIFO must not hold us up. It is refused below.
  const int descriptor = ::open(canonical.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
  if (descriptor < 0) return refused(fmt::format("cannot open it: {}", reason()));
  PluginFile file(descriptor, canonical.string());
  WEFT_TRY(file.check(path, strict));
  return file;
}

Status PluginFile::check(const std::string& requested, bool strict) {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) return refused(fmt::format("cannot look at it: {}", reason()));
  if (!S_ISREG(status.st_mode)) return refused("it is not a regular file; expected a shared library");
  size_ = static_cast<std::uint64_t>(status.st_size);
  WEFT_TRY(check_owner(status));
  WEFT_TRY(check_writers(status, "the file", strict, warnings_));
  const fs::path home = fs::path(path_).parent_path();
  WEFT_TRY(check_directory(home, strict, warnings_));
  const fs::path named = fs::path(requested).parent_path();
  return named == home ? Status{} : check_directory(named, strict, warnings_);
}

PluginFile::PluginFile(PluginFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      path_(std::move(other.path_)),
      size_(other.size_),
      warnings_(std::move(other.warnings_)) {}

PluginFile::~PluginFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Status PluginFile::read(std::uint64_t offset, void* into, std::uint64_t size) const {
  if (size > size_ || offset > size_ - size)
    return fail(ErrorCode::data_loss, fmt::format("{} bytes at {} lie beyond its end ({} bytes)", size, offset, size_));
  auto* out = static_cast<std::byte*>(into);
  while (size > 0) {
    const ssize_t got = ::pread(descriptor_, out, size, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0)
      return fail(ErrorCode::data_loss, fmt::format("cannot read it: {}", got == 0 ? "it became shorter" : reason()));
    out += got;
    offset += static_cast<std::uint64_t>(got);
    size -= static_cast<std::uint64_t>(got);
  }
  return {};
}

Result<std::string> PluginFile::sha256() const {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  const auto broken = [] { return fail(ErrorCode::internal, "OpenSSL cannot compute a SHA-256"); };
  if (context == nullptr || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1) return broken();
  std::vector<unsigned char> chunk(std::size_t{1} << 16);
  for (std::uint64_t offset = 0; offset < size_; offset += chunk.size()) {
    const std::uint64_t part = std::min<std::uint64_t>(chunk.size(), size_ - offset);
    WEFT_TRY(read(offset, chunk.data(), part));
    if (EVP_DigestUpdate(context.get(), chunk.data(), part) != 1) return broken();
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  if (EVP_DigestFinal_ex(context.get(), digest.data(), &length) != 1) return broken();
  std::string text;
  for (unsigned i = 0; i < length; ++i)
    text += fmt::format("{:02x}", digest[i]);
  return text;
}

bool is_sha256(std::string_view text) noexcept {
  return text.size() == 64 && std::all_of(text.begin(), text.end(),
                                          [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; });
}

bool same_sha256(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
         });
}

}  // namespace weft
