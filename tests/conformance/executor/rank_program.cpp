#include "tests/conformance/executor/rank_program.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "tests/conformance/executor/words.h"

extern "C" char** environ;

namespace weft::conformance::ex {
namespace {

constexpr int alone = 98;                               // the exit code of a rank whose case has gone
constexpr auto longest_life = std::chrono::minutes(5);  // without a command

int to_int(const std::string& text) { return std::atoi(text.c_str()); }

std::string link_target(const std::string& path) {
  std::array<char, 4096> target{};
  const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
  return {target.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

Words open_descriptors() {
  Words found;
  DIR* const directory = ::opendir("/proc/self/fd");
  if (directory == nullptr) return found;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string number = static_cast<const char*>(entry->d_name);
    if (number[0] == '.' || to_int(number) == ::dirfd(directory)) continue;
    found.push_back(number + " " + link_target("/proc/self/fd/" + number));
  }
  ::closedir(directory);
  return found;
}

Words signal_masks() {
  Words masks{"?", "?", "?"};
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    for (std::size_t index = 0; const char* const key : {"SigBlk:\t", "SigIgn:\t", "SigCgt:\t"}) {
      if (line.starts_with(key)) masks[index] = line.substr(std::strlen(key));
      ++index;
    }
  return masks;
}

Words allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  Words cpus;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &set)) cpus.push_back(std::to_string(cpu));
  return cpus;
}

Words place() {
  std::array<char, 256> host{};
  (void)::gethostname(host.data(), host.size() - 1);
  return {host.data(), link_target("/proc/self/ns/net")};
}

// To the end of standard input, which should be there at once.
Words standard_input() {
  std::string text;
  std::array<char, 4096> chunk{};
  while (true) {
    pollfd waited{0, POLLIN, 0};
    if (::poll(&waited, 1, 0) == 0) return {"open", text};
    const ssize_t got = ::read(0, chunk.data(), chunk.size());
    if (got < 0) return {"failed", std::strerror(errno)};
    if (got == 0) return {"end", text};
    text.append(chunk.data(), static_cast<std::size_t>(got));
  }
}

Words print(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t done = ::write(descriptor, text.data(), text.size());
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return {"failed", std::strerror(errno)};
    text.remove_prefix(static_cast<std::size_t>(done));
  }
  return {"done"};
}

// For the handler, which may do nothing but write and exit. ["signal"] as words.cpp packs it.
int handler_socket = -1;
int handler_code = 0;
constexpr std::array<char, 14> signal_frame{10, 0, 0, 0, 6, 0, 0, 0, 's', 'i', 'g', 'n', 'a', 'l'};
void honour(int) {
  (void)!::send(handler_socket, signal_frame.data(), signal_frame.size(), MSG_NOSIGNAL);
  ::_exit(handler_code);
}

class Rank {
 public:
  Rank(std::span<char*> arguments, Words descriptors, Words signals)
      : descriptors_(std::move(descriptors)), signals_(std::move(signals)) {
    for (const char* argument : arguments)
      arguments_.emplace_back(argument);
  }

  // Never returns: a forked child is in here too.
  [[noreturn]] void serve(const std::string& name) {
    const Result<int> connected = connect_to(arguments_.front());
    if (!connected) ::_exit(alone);
    socket_ = *connected;
    if (!send_words(socket_, {"hello", name, std::to_string(::getpid())})) ::_exit(alone);
    while (true) {
      const Result<Words> command = receive_words(socket_, Deadline::in(longest_life));
      if (!command || command->empty()) ::_exit(alone);
      if (!send_words(socket_, obey(*command))) ::_exit(alone);
    }
  }

 private:
  Words obey(const Words& command) {
    const std::string& word = command[0];
    if (word == "ping") return {"pong"};
    if (word == "arguments") return arguments_;
    if (word == "environment") return environment();
    if (word == "descriptors") return descriptors_;
    if (word == "signals") return signals_;
    if (word == "cpus") return allowed_cpus();
    if (word == "place") return place();
    if (word == "group") return {std::to_string(::getpgrp()), std::to_string(::getsid(0))};
    if (word == "input") return standard_input();
    if (word == "cgroup") return {cgroup_of_this_process()};
    if (command.size() > 1) return obey_with(word, command);
    return {"what?", word};
  }
  Words obey_with(const std::string& word, const Words& command) {
    const int number = to_int(command[1]);
    if (word == "exit") ::_exit(number);
    if (word == "raise") {
      ::signal(number, SIG_DFL);
      ::raise(number);
      return {"still here"};
    }
    if (word == "ignore") {
      ::signal(number, SIG_IGN);
      return {"done"};
    }
    if (word == "close") {
      ::close(number);
      return {"done"};
    }
    if (command.size() < 3) return {"what?", word};
    if (word == "print") return print(number, command[2]);
    if (word == "honour") {
      handler_socket = socket_;
      handler_code = to_int(command[2]);
      ::signal(number, honour);
      return {"done"};
    }
    if (word == "child") return fork_child(command[1], command[2] == "session");
    return {"what?", word};
  }
  static Words environment() {
    Words variables;
    for (char** variable = environ; *variable != nullptr; ++variable)
      variables.emplace_back(*variable);
    return variables;
  }
  Words fork_child(const std::string& name, bool own_session) {
    const pid_t child = ::fork();
    if (child < 0) return {"failed", std::strerror(errno)};
    if (child > 0) return {"done"};
    ::close(socket_);
    if (own_session) ::setsid();
    serve(name);
  }

  Words arguments_;  // the first is the socket
  const Words descriptors_;
  const Words signals_;
  int socket_ = -1;
};

}  // namespace

int run_rank(std::span<char*> arguments) {
  Words descriptors = open_descriptors();
  Words signals = signal_masks();
  if (arguments.size() < 2) return 2;
  Rank rank(arguments, std::move(descriptors), std::move(signals));
  rank.serve(arguments[1]);
}

std::string cgroup_of_this_process() {
  std::ifstream lines("/proc/self/cgroup");
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("0::")) return line.substr(3);
  return "";
}

int run_exit(std::span<char*> arguments) { return arguments.empty() ? 0 : std::atoi(arguments[0]); }

}  // namespace weft::conformance::ex
