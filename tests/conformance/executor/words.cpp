#include "tests/conformance/executor/words.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace weft::conformance::ex {
namespace {

constexpr std::size_t longest_frame = std::size_t{16} << 20;

void append_number(std::string& to, std::size_t number) {
  const auto short_number = static_cast<std::uint32_t>(number);
  to.append(reinterpret_cast<const char*>(&short_number), sizeof short_number);
}

// The number at `at`, which moves behind it; false at the end.
bool take_number(const std::string& from, std::size_t& at, std::size_t& number) {
  std::uint32_t short_number = 0;
  if (from.size() - at < sizeof short_number) return false;
  std::memcpy(&short_number, from.data() + at, sizeof short_number);
  at += sizeof short_number;
  number = short_number;
  return true;
}

Status read_exactly(int socket, char* to, std::size_t size, Deadline deadline) {
  while (size > 0) {
    pollfd waited{socket, POLLIN, 0};
    const int ready = ::poll(&waited, 1, deadline.poll_milliseconds());
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0 && deadline.passed()) return fail(ErrorCode::deadline_exceeded, "nothing came");
    if (ready <= 0) continue;
    const ssize_t got = ::recv(socket, to, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return fail(ErrorCode::unavailable, "the other side has gone");
    to += got;
    size -= static_cast<std::size_t>(got);
  }
  return {};
}

// The address of a socket in a directory that is open as `directory`.
sockaddr_un address_in(int directory, const std::string& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = fmt::format("/proc/self/fd/{}/{}", directory, name);
  path.copy(static_cast<char*>(address.sun_path), sizeof address.sun_path - 1);
  return address;
}

Result<int> socket_at(const std::string& path, int (*use)(int, const sockaddr*, socklen_t), const char* doing) {
  const std::filesystem::path whole(path);
  const int directory = ::open(whole.parent_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  const int made = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_un address = address_in(directory, whole.filename().string());
  const int result = use(made, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error = errno;
  ::close(directory);
  if (result == 0) return made;
  ::close(made);
  return fail(ErrorCode::unavailable, fmt::format("{} {}: {}", doing, path, std::strerror(error)));
}

}  // namespace

Status send_words(int socket, const Words& words) {
  std::string body;
  for (const std::string& word : words) {
    append_number(body, word.size());
    body += word;
  }
  std::string frame;
  append_number(frame, body.size());
  frame += body;
  for (std::size_t sent = 0; sent < frame.size();) {
    const ssize_t done = ::send(socket, frame.data() + sent, frame.size() - sent, MSG_NOSIGNAL);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return fail(ErrorCode::unavailable, "the other side has gone");
    sent += static_cast<std::size_t>(done);
  }
  return {};
}

Result<Words> receive_words(int socket, Deadline deadline) {
  std::string head(sizeof(std::uint32_t), '\0');
  WEFT_TRY(read_exactly(socket, head.data(), head.size(), deadline));
  std::size_t at = 0;
  std::size_t size = 0;
  take_number(head, at, size);
  if (size > longest_frame) return fail(ErrorCode::data_loss, fmt::format("a message of {} bytes", size));
  std::string body(size, '\0');
  WEFT_TRY(read_exactly(socket, body.data(), body.size(), deadline));
  Words words;
  for (at = 0; take_number(body, at, size); at += size) {
    if (size > body.size() - at) return fail(ErrorCode::data_loss, "a word that is longer than its message");
    words.push_back(body.substr(at, size));
  }
  return words;
}

Result<int> listen_at(const std::string& path) {
  WEFT_ASSIGN(made, socket_at(path, &::bind, "bind"));
  if (::listen(made, SOMAXCONN) == 0) return made;
  ::close(made);
  return fail(ErrorCode::resource_exhausted, fmt::format("listen {}: {}", path, std::strerror(errno)));
}

Result<int> connect_to(const std::string& path) { return socket_at(path, &::connect, "connect"); }

}  // namespace weft::conformance::ex
