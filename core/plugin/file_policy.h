// The first stage: may this file be trusted with all rights of this process? Linux only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "weft/status.h"

namespace weft {

// A plugin's file, open for reading and past the policy. Owns the descriptor.
class PluginFile {
 public:
  // Resolves symbolic links, then demands: a regular file; its owner is root, the current user or the owner
  // of the running executable; neither the file nor a directory that it was found in is world-writable
  // (sticky directories aside). Group-writable ones give a warning, or are refused under `strict`.
  static Result<PluginFile> open(const std::string& path, bool strict);

  PluginFile(PluginFile&& other) noexcept;
  PluginFile& operator=(PluginFile&&) = delete;
  ~PluginFile();

  const std::string& path() const noexcept { return path_; }  // canonical
  std::uint64_t size() const noexcept { return size_; }       // bytes, when it was opened
  const std::vector<std::string>& warnings() const noexcept { return warnings_; }

  // Exactly `size` bytes from `offset`; data_loss where the file ends before.
  Status read(std::uint64_t offset, void* into, std::uint64_t size) const;
  // 64 lower-case hexadecimal digits.
  Result<std::string> sha256() const;

 private:
  PluginFile(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)) {}
  Status check(const std::string& requested, bool strict);

  int descriptor_;
  std::string path_;
  std::uint64_t size_ = 0;
  std::vector<std::string> warnings_;
};

// Whether text is 64 hexadecimal digits, and whether two such texts are the same digest.
bool is_sha256(std::string_view text) noexcept;
bool same_sha256(std::string_view a, std::string_view b) noexcept;

}  // namespace weft
