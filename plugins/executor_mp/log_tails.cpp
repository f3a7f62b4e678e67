#include "log_tails.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace weft::mp {
namespace {

constexpr std::size_t remembered = 64;  // gangs that have ended
constexpr off_t most_bytes = 64 << 10;

// The end of the file, up to most_bytes. A FIFO or a device in the log's place must not hold us up.
Result<std::string> read_end(const std::string& path) {
  const auto error = [&] { return "log " + path + ": " + std::generic_category().message(errno); };
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return fail(ErrorCode::not_found, error());
  struct stat status {};
  std::string text;
  std::string problem;
  if (::fstat(descriptor, &status) != 0)
    problem = error();
  else if (!S_ISREG(status.st_mode))
    problem = "log " + path + ": it is not a regular file, so it cannot be read again";
  off_t at = std::max<off_t>(0, status.st_size - most_bytes);
  text.resize(problem.empty() ? static_cast<std::size_t>(status.st_size - at) : 0);
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::pread(descriptor, text.data() + size, text.size() - size, at + static_cast<off_t>(size));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) problem = error();
    if (got <= 0) break;  // somebody cut it
    size += static_cast<std::size_t>(got);
  }
  ::close(descriptor);
  if (!problem.empty()) return fail(ErrorCode::not_found, problem);
  text.resize(size);
  return text;
}

std::string last_lines(std::string text, std::int32_t lines) {
  while (!text.empty() && text.back() == '\n')
    text.pop_back();
  std::size_t at = text.size();
  for (std::int32_t line = 0; line < lines; ++line) {
    if (at == 0 || (at = text.rfind('\n', at - 1)) == std::string::npos) return text;
  }
  return at == text.size() ? std::string() : text.substr(at + 1);
}

}  // namespace

void LogTails::launched(const GangSpec& spec) {
  Gang gang{.incarnation = spec.gang.incarnation, .paths = {}};
  for (const RankSpec& rank : spec.ranks)
    gang.paths[rank.rank] = rank.log_path;
  const std::lock_guard lock(mutex_);
  gangs_.insert_or_assign(spec.gang.id, std::move(gang));
}

void LogTails::ended(const GangId& gang) {
  const std::lock_guard lock(mutex_);
  ended_.push_back(gang);
  while (ended_.size() > remembered) {
    const auto found = gangs_.find(ended_.front().id);
    const bool again = found != gangs_.end() && found->second.incarnation != ended_.front().incarnation;
    if (found != gangs_.end() && !again) gangs_.erase(found);
    ended_.pop_front();
  }
}

Result<std::string> LogTails::path_of(const GangId& gang, std::int32_t rank) {
  const std::string name = "gang " + gang.id + " of incarnation " + std::to_string(gang.incarnation);
  const std::lock_guard lock(mutex_);
  const auto found = gangs_.find(gang.id);
  if (found == gangs_.end() || found->second.incarnation != gang.incarnation)
    return fail(ErrorCode::not_found, "no " + name + " lives or ended lately");
  const auto path = found->second.paths.find(rank);
  if (path == found->second.paths.end())
    return fail(ErrorCode::not_found, name + " has no rank " + std::to_string(rank));
  if (path->second.empty())
    return fail(ErrorCode::not_found, name + ": rank " + std::to_string(rank) + " has no log: its output is discarded");
  return path->second;
}

Result<std::string> LogTails::log_tail(const GangId& gang, std::int32_t rank, std::int32_t lines, Deadline) {
  if (lines < 1)
    return fail(ErrorCode::invalid_argument, std::to_string(lines) + " lines of a log; expected at least 1");
  WEFT_ASSIGN(path, path_of(gang, rank));
  WEFT_ASSIGN(text, read_end(path));
  return last_lines(std::move(text), lines);
}

}  // namespace weft::mp
