#include "tests/conformance/communicator/leftovers.h"

#include <malloc.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace weft::conformance {
namespace {

namespace fs = std::filesystem;

constexpr const char* shared_memory = "/dev/shm";

bool is_process(const fs::path& path) {
  return path.filename().string().find_first_not_of("0123456789") == std::string::npos;
}

bool maps(const fs::path& process, const std::string& file) {
  std::ifstream list(process / "maps");
  for (std::string line; std::getline(list, line);)
    if (line.ends_with(file)) return true;
  return false;
}

bool has_open(const fs::path& process, const std::string& file) {
  std::error_code error;
  for (fs::directory_iterator entry(process / "fd", error), end; !error && entry != end; entry.increment(error)) {
    std::error_code gone;
    if (fs::read_symlink(entry->path(), gone).string() == file) return true;
  }
  return false;
}

bool is_used(const std::string& file) {
  std::error_code error;
  for (fs::directory_iterator entry("/proc", error), end; !error && entry != end; entry.increment(error))
    if (is_process(entry->path()) && (maps(entry->path(), file) || has_open(entry->path(), file))) return true;
  return false;
}

}  // namespace

std::vector<std::string> shared_mappings() {
  std::vector<std::string> found;
  std::ifstream list("/proc/self/maps");
  for (std::string line; std::getline(list, line);) {
    // "7f0000000000-7f0000001000 rw-s 00000000 00:01 7 /dev/shm/x"
    const std::size_t rights = line.find(' ');
    if (rights == std::string::npos || line.size() < rights + 5 || line[rights + 4] != 's') continue;
    const std::size_t path = line.find('/');
    found.push_back(path == std::string::npos ? line : line.substr(path));
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<std::string> shared_memory_files() {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator entry(shared_memory, error), end; !error && entry != end; entry.increment(error))
    found.push_back(entry->path().string());
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<std::string> orphaned_since(const std::vector<std::string>& before) {
  std::vector<std::string> orphans;
  for (const std::string& file : shared_memory_files())
    if (!std::binary_search(before.begin(), before.end(), file) && !is_used(file) && fs::exists(file))
      orphans.push_back(file);
  return orphans;
}

std::size_t allocated_bytes() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

}  // namespace weft::conformance
