#include "plugins/comm_shm/assembly.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include "plugins/common/errno_text.h"
#include "plugins/common/group_spec.h"

namespace weft::comm_shm {
namespace {

using plugins::Descriptor;
using plugins::member_name;

std::span<const std::byte> bytes_of(const auto& message) { return std::as_bytes(std::span(&message, 1)); }

// The message, if it is one of that kind with that token and number of files.
template <class Message>
std::optional<Message> parse(const RawMessage& raw, const Token& token, std::size_t files) {
  Message message;
  if (raw.bytes.size() != sizeof(message) || raw.files.size() != files) return std::nullopt;
  std::memcpy(&message, raw.bytes.data(), sizeof(message));
  if (message.magic != Message{}.magic || message.token != token) return std::nullopt;
  return message;
}

// Where this process is: ranks whose places differ cannot share memory or reach each other's sockets.
struct Place {
  std::string boot;     // of the machine's kernel
  std::string network;  // namespace
  std::string user;

  static Place here() {
    Place place;
    std::ifstream("/proc/sys/kernel/random/boot_id") >> place.boot;
    struct stat network {};
    if (::stat("/proc/self/ns/net", &network) == 0) place.network = fmt::format("{}", network.st_ino);
    place.user = fmt::format("{}", ::geteuid());
    return place;
  }
};

// What a rank writes beside its presence. Only rank 0 has an endpoint.
struct Details {
  Place place;
  std::string endpoint;
  std::string token;

  std::string text() const {
    return fmt::format("{} {} {} {} {}", place.boot, place.network, place.user, endpoint.empty() ? "-" : endpoint,
                       token.empty() ? "-" : token);
  }
  static Details parse(const std::string& text) {
    std::istringstream words(text);
    Details details;
    words >> details.place.boot >> details.place.network >> details.place.user >> details.endpoint >> details.token;
    return details;
  }
};

Result<Descriptor> own_process() {
  Descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  if (!process) return fail(ErrorCode::unavailable, fmt::format("pidfd_open: {}", plugins::errno_text(errno)));
  return process;
}

// Rank 0's side: takes connections until every rank has said Hello.
class Host {
 public:
  Host(const GroupSpec& spec, const Token& token, Descriptor listener)
      : spec_(spec), token_(token), listener_(std::move(listener)), members_(static_cast<std::size_t>(spec.size)) {}

  Status gather() {
    while (missing().size() != 0) {
      std::vector<pollfd> polled{{.fd = listener_.get(), .events = POLLIN, .revents = 0}};
      for (const Descriptor& socket : strangers_)
        polled.push_back({.fd = socket.get(), .events = POLLIN, .revents = 0});
      for (const Member& member : members_)
        polled.push_back({.fd = member.socket.get(), .events = POLLIN, .revents = 0});
      if (::poll(polled.data(), polled.size(), spec_.deadline.poll_milliseconds()) < 0 && errno != EINTR)
        return fail(ErrorCode::internal, "poll failed");
      if (spec_.deadline.passed()) return late();
      WEFT_TRY(watch_members());
      hear_strangers();
      take_strangers();
    }
    return {};
  }

  Status welcome(const Welcome& message, const Descriptor& memory, const Descriptor& own) {
    std::vector<int> files{memory.get(), own.get()};
    for (std::size_t rank = 1; rank < members_.size(); ++rank)
      files.push_back(members_[rank].process.get());
    for (std::size_t rank = 1; rank < members_.size(); ++rank)
      WEFT_TRY_CONTEXT(send_message(members_[rank].socket, bytes_of(message), files),
                       member_name(spec_, static_cast<std::int32_t>(rank)));
    return {};
  }
  Descriptor take_process(std::size_t rank) { return std::move(members_[rank].process); }

 private:
  struct Member {
    Descriptor socket;
    Descriptor process;
  };
  // Beyond this many connections that have not said who they are, the oldest goes.
  static constexpr std::size_t max_strangers = 2 * static_cast<std::size_t>(max_ranks);

  std::vector<std::int32_t> missing() const {
    std::vector<std::int32_t> ranks;
    for (std::int32_t rank = 1; rank < spec_.size; ++rank)
      if (!members_[static_cast<std::size_t>(rank)].socket) ranks.push_back(rank);
    return ranks;
  }
  Status late() const {
    std::string names;
    for (const std::int32_t rank : missing())
      names += (names.empty() ? "" : ", ") + member_name(spec_, rank);
    return fail(ErrorCode::deadline_exceeded, fmt::format("{} did not connect in time", names), true);
  }
  void take_strangers() {
    for (;;) {
      Descriptor socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!socket) return;
      if (!same_user(socket)) continue;
      if (strangers_.size() == max_strangers) strangers_.erase(strangers_.begin());
      strangers_.push_back(std::move(socket));
    }
  }
  // Who shows the token is a member; who says anything else, or leaves, is dropped.
  void hear_strangers() {
    std::vector<Descriptor> silent;
    for (Descriptor& socket : strangers_) {
      auto heard = receive_message(socket);
      if (!heard) continue;
      if (!*heard) {
        silent.push_back(std::move(socket));
        continue;
      }
      const auto hello = parse<Hello>(**heard, token_, 1);
      if (!hello || hello->size != spec_.size || hello->rank < 1 || hello->rank >= spec_.size) continue;
      Member& member = members_[static_cast<std::size_t>(hello->rank)];
      if (!member.socket) member = {std::move(socket), std::move((*heard)->files[0])};
    }
    strangers_ = std::move(silent);
  }
  Status watch_members() const {
    for (std::int32_t rank = 1; rank < spec_.size; ++rank) {
      const Descriptor& socket = members_[static_cast<std::size_t>(rank)].socket;
      if (!socket) continue;
      const auto heard = receive_message(socket);
      if (!heard) return fail(annotate(heard.error(), member_name(spec_, rank)));
    }
    return {};
  }

  const GroupSpec& spec_;
  const Token token_;
  const Descriptor listener_;
  std::vector<Descriptor> strangers_;
  std::vector<Member> members_;  // by rank; [0] is empty
};

Result<RawMessage> await_welcome(const GroupSpec& spec, const Descriptor& socket) {
  for (;;) {
    pollfd polled{.fd = socket.get(), .events = POLLIN, .revents = 0};
    if (::poll(&polled, 1, spec.deadline.poll_milliseconds()) < 0 && errno != EINTR)
      return fail(ErrorCode::internal, "poll failed");
    WEFT_ASSIGN(heard, receive_message(socket));
    if (heard) return std::move(*heard);
    if (spec.deadline.passed()) return fail(ErrorCode::deadline_exceeded, "did not gather all ranks in time", true);
  }
}

}  // namespace

Result<Assembly> Assembly::prepare(const GroupSpec& spec, Bytes memory, Bytes heap) {
  WEFT_ASSIGN(own, own_process());
  Assembly made(spec, std::move(own));
  Details details{Place::here(), "", ""};
  if (spec.rank == 0) {
    made.memory_ = memory;
    made.heap_ = heap;
    WEFT_ASSIGN(layout, Layout::make(spec.size, memory, heap));
    made.layout_ = layout;
    WEFT_ASSIGN(file, make_memory(layout.total()));
    made.file_ = std::move(file);
    WEFT_ASSIGN(name, random_token());
    WEFT_ASSIGN(token, random_token());
    made.token_ = token;
    details.endpoint = "weft-shm/" + std::string(name.begin(), name.end());
    details.token = std::string(token.begin(), token.end());
    WEFT_ASSIGN(listener, listen_at(details.endpoint));
    made.listener_ = std::move(listener);
  }
  made.details_ = details.text();
  return made;
}

Status Assembly::check_places(const std::vector<std::string>& all) const {
  const Place mine = Place::here();
  for (std::int32_t rank = 0; rank < spec_->size; ++rank) {
    const Place theirs = Details::parse(all[static_cast<std::size_t>(rank)]).place;
    const char* what = theirs.boot != mine.boot         ? "on another machine"
                       : theirs.network != mine.network ? "in another network namespace"
                       : theirs.user != mine.user       ? "of another user"
                                                        : nullptr;
    if (what != nullptr)
      return fail(ErrorCode::failed_precondition,
                  fmt::format("{} is {} than {}; shm joins ranks of one machine, network namespace and user: choose "
                              "another communicator, as \"gloo\"",
                              member_name(*spec_, rank), what, member_name(*spec_, spec_->rank)));
  }
  return {};
}

Result<Assembled> Assembly::gather(const std::vector<std::string>& all, const plugins::Meeting& meeting) {
  WEFT_TRY(check_places(all));
  return spec_->rank == 0 ? host() : join(all[0], meeting);
}

Result<Assembled> Assembly::host() {
  Host host(*spec_, token_, std::move(listener_));
  WEFT_TRY(host.gather());
  WEFT_TRY(host.welcome({.token = token_, .memory = memory_, .heap = heap_}, file_, own_));
  WEFT_ASSIGN(memory, Memory::map(std::move(file_), layout_.total()));
  Assembled made{layout_, std::move(memory), {}};
  made.processes.push_back(std::move(own_));
  for (std::int32_t rank = 1; rank < spec_->size; ++rank)
    made.processes.push_back(host.take_process(static_cast<std::size_t>(rank)));
  return made;
}

Result<Assembled> Assembly::join(const std::string& host_details, const plugins::Meeting& meeting) {
  const Details host = Details::parse(host_details);
  const std::string who = member_name(*spec_, 0);
  Token token{};
  if (host.token.size() != token.size()) return fail(ErrorCode::refused, fmt::format("{} sent no token", who));
  std::copy(host.token.begin(), host.token.end(), token.begin());

  WEFT_ASSIGN_CONTEXT(socket, connect_to(host.endpoint, spec_->deadline), who);
  if (!same_user(socket)) return fail(ErrorCode::permission_denied, fmt::format("{} runs as another user", who));
  const int files[] = {own_.get()};
  const Hello hello{.token = token, .rank = spec_->rank, .size = spec_->size};
  WEFT_TRY_CONTEXT(send_message(socket, bytes_of(hello), files), who);
  auto heard = await_welcome(*spec_, socket);
  if (!heard) {
    Error error = annotate(std::move(heard).error(), who);
    if (const auto reason = meeting.reason_of(0)) error.message += fmt::format("; it said: {}", *reason);
    return fail(std::move(error));
  }
  const auto welcome = parse<Welcome>(*heard, token, static_cast<std::size_t>(spec_->size) + 1);
  if (!welcome) return fail(ErrorCode::refused, fmt::format("{} said something else than a welcome", who));
  WEFT_ASSIGN(layout, Layout::make(spec_->size, welcome->memory, welcome->heap));
  WEFT_ASSIGN(memory, Memory::map(std::move(heard->files[0]), layout.total()));
  Assembled made{layout, std::move(memory), {}};
  for (std::size_t i = 1; i < heard->files.size(); ++i)
    made.processes.push_back(std::move(heard->files[i]));
  return made;
}

}  // namespace weft::comm_shm
