#include "cgroup.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <system_error>
#include <utility>
#include <vector>

#include "weft/time.h"

namespace weft::mp {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view folder_prefix = "weft-";
constexpr Duration ending_limit = std::chrono::seconds(1);
constexpr std::size_t longest_name = 100;

std::string reason() { return std::generic_category().message(errno); }

tl::unexpected<Error> not_here(std::string why) { return fail(ErrorCode::failed_precondition, std::move(why)); }

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// This process's path in the hierarchy of version 2: of the line "0::/some/where". nullopt: it is in none.
std::optional<std::string> path_of_this_process(const std::string& file) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("0::/")) return line.substr(3);
  return std::nullopt;
}

// mountinfo writes a space, a tab, a newline and a backslash as three octal digits.
std::string unescaped(std::string_view text) {
  std::string plain;
  for (std::size_t at = 0; at < text.size(); ++at) {
    unsigned code = 0;
    const char* const digits = text.data() + at + 1;
    if (text[at] == '\\' && at + 3 < text.size() && std::from_chars(digits, digits + 3, code, 8).ptr == digits + 3) {
      plain += static_cast<char>(code);
      at += 3;
    } else {
      plain += text[at];
    }
  }
  return plain;
}

struct Mount {
  std::string root;  // the part of the hierarchy that is seen
  std::string at;
};

// proc(5): "36 35 98:0 /root /mount/point options optional... - type source options".
std::vector<Mount> mounts_of_version_2(const std::string& file) {
  std::vector<Mount> mounts;
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t separator = line.find(" - ");
    if (separator == std::string::npos || !line.substr(separator).starts_with(" - cgroup2 ")) continue;
    std::istringstream fields(line);
    std::string ignored;
    std::string root;
    std::string at;
    if (fields >> ignored >> ignored >> ignored >> root >> at) mounts.push_back({unescaped(root), unescaped(at)});
  }
  return mounts;
}

// That this process is in it is the proof that the path was put together rightly.
bool lists_this_process(const std::string& cgroup) {
  std::ifstream file(cgroup + "/cgroup.procs");
  const std::string own = std::to_string(getpid());
  for (std::string pid; file >> pid;)
    if (pid == own) return true;
  return false;
}

Result<std::string> own_cgroup(const CgroupFiles& files) {
  const auto path = path_of_this_process(files.own);
  if (!path) return not_here("this process is in no cgroup of version 2");
  const std::vector<Mount> mounts = mounts_of_version_2(files.mounts);
  for (const Mount& mount : mounts) {
    const std::string root = mount.root == "/" ? "" : mount.root;
    if (!path->starts_with(root)) continue;
    std::string below = path->substr(root.size());
    if (below == "/") below.clear();
    if (lists_this_process(mount.at + below)) return mount.at + below;
  }
  return not_here(mounts.empty() ? "cgroups of version 2 are not mounted"
                                 : "this process's cgroup " + *path + " is not seen below " + mounts.front().at);
}

// Directories of cgroups, the deepest first; a rank may have made some. Files in them are the kernel's.
bool remove_tree(const std::string& path) {
  std::error_code error;
  std::vector<std::string> inner;
  for (fs::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error))
    if (entry->is_directory(error)) inner.push_back(entry->path());
  for (const std::string& each : inner)
    remove_tree(each);
  return ::rmdir(path.c_str()) == 0 || errno == ENOENT;
}

// What executors whose process is no more could not remove, because something still ran there. Never what is in use: the kernel
// keeps a cgroup that has processes.
void remove_abandoned(const std::string& parent) {
  std::error_code error;
  std::vector<std::string> abandoned;
  for (fs::directory_iterator entry(parent, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename();
    pid_t pid = 0;
    const char* const digits = name.data() + std::min(folder_prefix.size(), name.size());
    const auto read = std::from_chars(digits, name.data() + name.size(), pid);
    if (name.starts_with(folder_prefix) && read.ec == std::errc() && *read.ptr == '-' && ::kill(pid, 0) != 0 &&
        errno == ESRCH)
      abandoned.push_back(entry->path());
  }
  for (const std::string& each : abandoned)
    remove_tree(each);
}

// A cgroup of threads has no cgroup.kill, and below one that hands controllers down to threads nothing else can be made.
Status check_usable(const std::string& parent, const std::string& made) {
  if (const std::string type = first_line(made + "/cgroup.type"); type != "domain")
    return not_here("a cgroup in " + parent + " is of type '" + type + "', expected 'domain'");
  if (::access((made + "/cgroup.kill").c_str(), W_OK) != 0)
    return not_here("there is no " + made + "/cgroup.kill to write to: " + reason() + "; it needs Linux 5.14");
  if (::access((parent + "/cgroup.procs").c_str(), W_OK) != 0)
    return not_here("processes may not be moved below " + parent + ": " + reason());
  return {};
}

void write_to(const std::string& path, std::string_view text) noexcept {
  const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  (void)!::write(file, text.data(), text.size());
  ::close(file);
}

// "populated 1" stands in cgroup.events as long as something runs in it or below.
bool populated(int events) {
  char text[256];
  const ssize_t got = ::pread(events, text, sizeof text, 0);
  return got > 0 && std::string_view(text, static_cast<std::size_t>(got)).find("populated 1") != std::string_view::npos;
}

// The kernel wakes who polls cgroup.events when it changes. False: something still runs at the deadline.
bool wait_until_empty(const std::string& path, Deadline deadline) {
  const int events = ::open((path + "/cgroup.events").c_str(), O_RDONLY | O_CLOEXEC);
  if (events < 0) return true;
  bool busy = populated(events);
  while (busy && !deadline.passed()) {
    pollfd wait{events, POLLPRI, 0};
    (void)::poll(&wait, 1, deadline.poll_milliseconds());
    busy = populated(events);
  }
  ::close(events);
  return !busy;
}

}  // namespace

Cgroup::Cgroup(Cgroup&& other) noexcept : path_(std::exchange(other.path_, {})) {}

Cgroup& Cgroup::operator=(Cgroup&& other) noexcept {
  std::swap(path_, other.path_);
  return *this;
}

Cgroup::~Cgroup() { (void)end(); }

int Cgroup::open_folder() const { return path_.empty() ? -1 : ::open(path_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC); }

int Cgroup::open_door() const {
  return path_.empty() ? -1 : ::open((path_ + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC);
}

void Cgroup::kill() const noexcept {
  if (!path_.empty()) write_to(path_ + "/cgroup.kill", "1");
}

Status Cgroup::end() {
  if (path_.empty()) return {};
  kill();
  const std::string path = std::exchange(path_, {});
  if (remove_tree(path)) return {};
  const bool empty = wait_until_empty(path, Deadline::in(ending_limit));
  if (empty && remove_tree(path)) return {};
  return fail(
      ErrorCode::deadline_exceeded,
      "cgroup " + path + (empty ? " cannot be removed: " + reason() : " still has processes a second after KILL"));
}

Result<CgroupFolder> CgroupFolder::make(const CgroupFiles& files) {
  static std::atomic<int> count{0};  // executors of this process
  WEFT_ASSIGN(parent, own_cgroup(files));
  remove_abandoned(parent);
  CgroupFolder folder(parent + "/" + std::string(folder_prefix) + std::to_string(getpid()) + "-" +
                      std::to_string(count.fetch_add(1)));
  if (::mkdir(folder.path_.c_str(), 0755) != 0 && errno != EEXIST)
    return not_here("no cgroup can be made in " + parent + ": " + reason());
  WEFT_TRY(check_usable(parent, folder.path_));
  return folder;
}

CgroupFolder::CgroupFolder(CgroupFolder&& other) noexcept : path_(std::exchange(other.path_, {})), made_(other.made_) {}

CgroupFolder::~CgroupFolder() {
  if (!path_.empty()) remove_tree(path_);
}

Result<Cgroup> CgroupFolder::add(const std::string& name) {
  std::string path = path_ + "/" + std::to_string(made_++) + "-";
  for (const char letter : name.substr(0, longest_name)) {
    const bool plain = (letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'z') ||
                       (letter >= 'A' && letter <= 'Z') || letter == '.' || letter == '-';
    path += plain ? letter : '_';
  }
  // Who takes this process for one that is no more (another namespace of processes) may have removed the empty folder.
  if (::mkdir(path.c_str(), 0755) != 0 &&
      (errno != ENOENT || ::mkdir(path_.c_str(), 0755) != 0 || ::mkdir(path.c_str(), 0755) != 0))
    return fail(ErrorCode::resource_exhausted, "cgroup " + path + ": " + reason());
  return Cgroup(std::move(path));
}

}  // namespace weft::mp
