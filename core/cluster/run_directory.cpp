#include "core/cluster/run_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

namespace weft {
namespace {

namespace fs = std::filesystem;

std::string errno_text() { return std::generic_category().message(errno); }

Result<std::string> default_parent() {
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state == '/')
    return std::string(state) + "/weft";
  if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/')
    return std::string(home) + "/.local/state/weft";
  return fail(ErrorCode::failed_precondition,
              "neither XDG_STATE_HOME nor HOME names a directory for the run's files; set [cluster] run_dir");
}

// Makes the directory, 0700. One that is there is taken as it is, unless others may write to it: what they put there
// would be trusted.
Status make_private_directory(const std::string& path) {
  const auto refuse = [&](const std::string& why) {
    return fail(
        ErrorCode::permission_denied,
        fmt::format("run directory {}: {}; set [cluster] run_dir to a directory that can be written", path, why));
  };
  std::error_code code;
  fs::create_directories(fs::path(path).parent_path(), code);
  if (mkdir(path.c_str(), 0700) == 0) return {};
  if (errno != EEXIST) return refuse(errno_text());
  struct stat found {};
  if (stat(path.c_str(), &found) != 0) return refuse(errno_text());
  if (!S_ISDIR(found.st_mode)) return refuse("not a directory");
  if ((found.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return refuse(fmt::format("mode {:03o} lets others write to it", found.st_mode & 0777));
  if (access(path.c_str(), W_OK | X_OK) != 0) return refuse(errno_text());
  return {};
}

// Logs of earlier runs, and nothing else that may lie there.
void remove_logs(const std::string& path) {
  std::error_code ignored;
  std::vector<fs::path> old;
  for (const fs::directory_entry& entry : fs::directory_iterator(path, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind("rank-", 0) == 0 && entry.path().extension() == ".log") old.push_back(entry.path());
  }
  for (const fs::path& file : old)
    fs::remove(file, ignored);
}

// The lock's descriptor; already_exists names the process that holds it.
Result<int> take_lock(const std::string& path) {
  const std::string file = path + "/lock";
  const int descriptor = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return fail(ErrorCode::permission_denied, fmt::format("{}: {}", file, errno_text()));
  if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    std::array<char, 32> holder{};
    const ssize_t got = read(descriptor, holder.data(), holder.size() - 1);
    close(descriptor);
    std::string pid(holder.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
    while (!pid.empty() && pid.back() == '\n')
      pid.pop_back();
    return fail(
        ErrorCode::already_exists,
        fmt::format(
            "run directory {} is in use by process {}; stop it, or give this cluster another [cluster] name or run_dir",
            path, pid.empty() ? "(unknown)" : pid));
  }
  const std::string pid = fmt::format("{}\n", getpid());
  if (ftruncate(descriptor, 0) != 0 ||
      pwrite(descriptor, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    close(descriptor);
    return fail(ErrorCode::resource_exhausted, fmt::format("{}: {}", file, errno_text()));
  }
  return descriptor;
}

Result<std::string> random_token() {
  std::array<unsigned char, 32> bytes{};
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    return fail(ErrorCode::internal, "getrandom: " + errno_text());
  std::string token;
  for (const unsigned char byte : bytes)
    token += fmt::format("{:02x}", byte);
  return token;
}

// Written beside and renamed: nobody reads half a file.
Status write_file(const std::string& path, const std::string& contents, mode_t mode) {
  const std::string fresh = path + ".new";
  (void)unlink(fresh.c_str());
  const int descriptor = open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (descriptor < 0) return fail(ErrorCode::permission_denied, fmt::format("{}: {}", fresh, errno_text()));
  const bool written = write(descriptor, contents.data(), contents.size()) == static_cast<ssize_t>(contents.size());
  const int error = errno;
  close(descriptor);
  if (!written || rename(fresh.c_str(), path.c_str()) != 0)
    return fail(ErrorCode::resource_exhausted,
                fmt::format("{}: {}", path, std::generic_category().message(written ? errno : error)));
  return {};
}

}  // namespace

Result<std::unique_ptr<RunDirectory>> RunDirectory::create(const std::string& configured, const std::string& name) {
  constexpr int most = 100;  // clusters of one name side by side
  std::string base = configured;
  while (base.size() > 1 && base.back() == '/')
    base.pop_back();
  if (base.empty()) {
    if (name.empty() || name.front() == '.' || name.find('/') != std::string::npos)
      return fail(ErrorCode::invalid_argument,
                  fmt::format("[cluster] name '{}': expected a word that can name a directory", name));
    WEFT_ASSIGN(parent, default_parent());
    base = parent + "/" + name;
  }
  std::unique_ptr<RunDirectory> made(new RunDirectory());
  for (int number = 1; made->lock_ < 0; ++number) {
    made->path_ = number == 1 ? base : fmt::format("{}-{}", base, number);
    WEFT_TRY(make_private_directory(made->path_));
    Result<int> lock = take_lock(made->path_);
    if (lock)
      made->lock_ = *lock;
    else if (lock.error().code != ErrorCode::already_exists || !configured.empty() || number == most)
      return fail(std::move(lock).error());
  }
  (void)unlink((made->path_ + "/endpoint").c_str());  // of a head that was killed
  WEFT_TRY(make_private_directory(made->path_ + "/logs"));
  remove_logs(made->path_ + "/logs");
  WEFT_ASSIGN(token, random_token());
  made->token_ = std::move(token);
  WEFT_TRY(write_file(made->path_ + "/token", made->token_ + "\n", 0600));
  return made;
}

RunDirectory::~RunDirectory() {
  if (lock_ < 0) return;
  (void)unlink((path_ + "/endpoint").c_str());
  (void)unlink((path_ + "/token").c_str());
  close(lock_);
}

Status RunDirectory::publish_endpoint(const std::string& endpoint) {
  return write_file(path_ + "/endpoint", endpoint + "\n", 0600);
}

std::string RunDirectory::log_path(std::int32_t rank, std::int64_t incarnation) const {
  return fmt::format("{}/logs/rank-{}.{}.log", path_, rank, incarnation);
}

std::string tail_of_file(const std::string& path, int lines) {
  constexpr std::streamoff most = 64 << 10;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return {};
  const std::streamoff size = file.tellg();
  if (size <= 0) return {};
  const std::streamoff start = size > most ? size - most : 0;
  file.seekg(start);
  std::string text(static_cast<std::size_t>(size - start), '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  while (!text.empty() && text.back() == '\n')
    text.pop_back();
  std::size_t at = text.size();
  for (int line = 0; line < lines; ++line) {
    if (at == 0 || (at = text.rfind('\n', at - 1)) == std::string::npos) return text;
  }
  return at == text.size() ? std::string() : text.substr(at + 1);
}

}  // namespace weft
