#include "tests/conformance/executor/post.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace weft::conformance::ex {
namespace {

namespace fs = std::filesystem;

// In the environment of every rank of a case, with the case's directory.
constexpr const char* mark = "WEFT_CONFORMANCE_RANK_OF";

std::vector<std::string> marked_processes(const Context& context) {
  const std::string wanted = fmt::format("{}={}", mark, context.directory().string());
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator entry("/proc", error), last; !error && entry != last; entry.increment(error)) {
    const std::string pid = entry->path().filename().string();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream file(entry->path() / "environ", std::ios::binary);
    const std::string environment((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    if (environment.find(wanted) != std::string::npos) found.push_back(pid);
  }
  return found;
}

}  // namespace

Duration patience(const Context& context) { return context.scaled(context.setup().running->limit) / 5; }

Peer::~Peer() { ::close(socket_); }

void Peer::tell(const Words& command) {
  if (!send_words(socket_, command))
    context_.fail(fmt::format("{} is no more, and should do '{}'", name_, fmt::join(command, " ")));
}

Words Peer::ask(const Words& command) {
  tell(command);
  Result<Words> answer = receive_words(socket_, Deadline::in(patience(context_)));
  if (!answer) context_.fail(fmt::format("{}, asked for '{}': {}", name_, command[0], answer.error().message));
  return std::move(*answer);
}

void Peer::order(const Words& command) {
  const Words answer = ask(command);
  context_.expect(answer == Words{"done"},
                  fmt::format("{}, told to '{}': {}", name_, command[0], fmt::join(answer, " ")));
}

void Peer::expect_word(std::string_view word) {
  const Result<Words> said = receive_words(socket_, Deadline::in(patience(context_)));
  if (!said) context_.fail(fmt::format("{} should have said '{}': {}", name_, word, said.error().message));
  context_.expect(said->front() == word, fmt::format("{} said '{}', expected '{}'", name_, said->front(), word));
}

bool Peer::lives() {
  if (!send_words(socket_, {"ping"})) return false;
  return receive_words(socket_, Deadline::in(patience(context_))).has_value();
}

void Peer::expect_gone(std::string_view when) {
  const Deadline deadline = Deadline::in(patience(context_));
  while (true) {
    const Result<Words> said = receive_words(socket_, deadline);
    if (said) continue;
    if (said.error().code == ErrorCode::deadline_exceeded)
      context_.fail(fmt::format("{} (pid {}) still lives {}", name_, pid_, when));
    return;
  }
}

Post::Post(const Context& context) : context_(context), address_((context.directory() / "post").string()) {
  listener_ = context.take(listen_at(address_), "the case's own socket");
}

Post::~Post() { ::close(listener_); }

std::string Post::name_of(const GangId& gang, std::int32_t rank) {
  return fmt::format("{}.{}.{}", gang.id, gang.incarnation, rank);
}

RankSpec Post::rank_spec(const GangId& gang, std::int32_t rank, const std::vector<std::string>& more) const {
  RankSpec spec = exit_spec(rank, 0);
  spec.argv = {context_.program(), "@rank", address_, name_of(gang, rank)};
  spec.argv.insert(spec.argv.end(), more.begin(), more.end());
  return spec;
}

RankSpec Post::exit_spec(std::int32_t rank, int code) const {
  return {.rank = rank,
          .argv = {context_.program(), "@exit", std::to_string(code)},
          .env = {{mark, context_.directory().string()}},
          .node = "",
          .cpus = {},
          .devices = {},
          .memory = 0,
          .log_path = ""};
}

bool Post::accept_one(Deadline deadline) {
  pollfd waited{listener_, POLLIN, 0};
  if (::poll(&waited, 1, deadline.poll_milliseconds()) <= 0) return false;
  const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (socket < 0) return true;
  // It may have been killed between its connect and its hello.
  const Result<Words> hello = receive_words(socket, Deadline::in(patience(context_)));
  if (!hello || hello->size() != 3 || hello->front() != "hello") {
    ::close(socket);
    return true;
  }
  for (const auto& known : peers_)
    if (known->name() == (*hello)[1]) {
      ::close(socket);
      context_.fail(
          fmt::format("a second process was started as {}: pid {} after {}", known->name(), (*hello)[2], known->pid()));
    }
  peers_.push_back(std::make_unique<Peer>(context_, socket, (*hello)[1], std::atoll((*hello)[2].c_str())));
  return true;
}

Peer& Post::peer(const std::string& name) {
  const Deadline deadline = Deadline::in(patience(context_));
  while (true) {
    const auto found =
        std::find_if(peers_.begin(), peers_.end(), [&](const auto& known) { return known->name() == name; });
    if (found != peers_.end()) return **found;
    if (!accept_one(deadline) && deadline.passed()) context_.fail(fmt::format("{} has not started", name));
  }
}

std::vector<Peer*> Post::peers() {
  while (accept_one(Deadline::in(Duration::zero()))) {
  }
  std::vector<Peer*> all;
  for (const auto& known : peers_)
    all.push_back(known.get());
  return all;
}

void expect_none_left(const Context& context, std::string_view when) {
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  const Deadline deadline = Deadline::in(patience(context));
  while (true) {
    const std::vector<std::string> left = marked_processes(context);
    if (left.empty()) return;
    if (deadline.passed())
      context.fail(fmt::format("{} processes are left {}: pid {}", left.size(), when, fmt::join(left, ", ")));
    // Nothing tells of the end of a process whose parent and connection are not ours.
    never.wait_for(lock, std::chrono::milliseconds(5));
  }
}

}  // namespace weft::conformance::ex
