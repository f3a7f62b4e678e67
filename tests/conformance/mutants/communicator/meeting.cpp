#include "tests/conformance/mutants/communicator/meeting.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "tests/conformance/mutants/communicator/switches.h"

namespace mutant {
namespace {

using weft::Deadline;
using weft::ErrorCode;
using weft::GroupSpec;
using weft::Result;
using weft::Status;

std::string rank_key(const GroupSpec& spec, std::int32_t rank) {
  return key_prefix(spec) + "rank/" + std::to_string(rank);
}

tl::unexpected<weft::Error> failed(const std::string& doing) {
  return weft::fail(ErrorCode::unavailable, "mutant: " + doing + ": " + std::strerror(errno), true);
}

// "size port address pid-number": the last makes two claims of one rank differ.
struct Presence {
  std::int32_t size = 0;
  std::uint16_t port = 0;
  std::string address;
};

std::string to_text(const Presence& presence) {
  static std::atomic<int> number{0};
  return std::to_string(presence.size) + " " + std::to_string(presence.port) + " " + presence.address + " " +
         std::to_string(::getpid()) + "-" + std::to_string(++number);
}

Presence presence_of(const std::string& text) {
  Presence presence;
  char address[64] = {};
  int size = 0;
  unsigned port = 0;
  if (std::sscanf(text.c_str(), "%d %u %63s", &size, &port, address) == 3)
    presence = {.size = size, .port = static_cast<std::uint16_t>(port), .address = address};
  return presence;
}

sockaddr_in address_of(const std::string& text, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  ::inet_pton(AF_INET, text.c_str(), &address.sin_addr);
  return address;
}

Result<Descriptor> listen_at(const std::string& address, std::uint16_t& port) {
  Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in name = address_of(address, 0);
  socklen_t length = sizeof(name);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof(name)) != 0)
    return weft::fail(ErrorCode::invalid_argument,
                      "mutant: cannot listen on address '" + address + "': " + std::strerror(errno));
  if (::listen(socket.get(), 64) != 0 || ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&name), &length) != 0)
    return failed("listen");
  port = ntohs(name.sin_port);
  return socket;
}

weft::Error missing(const GroupSpec& spec) {
  const auto keys = spec.store->list(key_prefix(spec) + "rank/", Deadline::in(std::chrono::milliseconds(500)));
  std::string names;
  for (std::int32_t rank = 0; rank < spec.size && keys; ++rank)
    if (std::find(keys->begin(), keys->end(), rank_key(spec, rank)) == keys->end())
      names += (names.empty() ? "" : ", ") + member_name(spec, rank);
  if (breaks("open_names_nobody")) names = "somebody";
  return {ErrorCode::deadline_exceeded, "mutant: group '" + spec.id + "': did not come in time: " + names, true};
}

void withdraw(const GroupSpec& spec) {
  if (!breaks("failed_open_leaves_key"))
    static_cast<void>(spec.store->remove(rank_key(spec, spec.rank), Deadline::in(std::chrono::milliseconds(200))));
}

Result<std::vector<Presence>> find_all(const GroupSpec& spec, const Presence& own) {
  const std::string mine = to_text(own);
  const Deadline deadline = breaks("store_without_deadline") ? Deadline::never() : spec.deadline;
  if (breaks("accepts_duplicates")) {
    WEFT_TRY(spec.store->set(rank_key(spec, spec.rank), mine, deadline));
  } else {
    const auto holds = spec.store->compare_and_set(rank_key(spec, spec.rank), std::nullopt, mine, deadline);
    if (!holds) {
      // It may have been done all the same; only the answer is missing.
      const Deadline soon = Deadline::in(std::chrono::milliseconds(200));
      if (const auto now = spec.store->get(rank_key(spec, spec.rank), soon); now && *now == mine) withdraw(spec);
      return weft::fail(holds.error());
    }
    if (*holds != mine)
      return weft::fail(ErrorCode::already_exists, "mutant: " + member_name(spec, spec.rank) + " is there already");
  }
  std::vector<Presence> all(static_cast<std::size_t>(spec.size));
  for (std::int32_t rank = 0; rank < static_cast<std::int32_t>(all.size()); ++rank) {
    auto values = spec.store->wait({rank_key(spec, rank)}, spec.deadline);
    if (!values) {
      weft::Error error = values.error().code == ErrorCode::deadline_exceeded ? missing(spec) : values.error();
      withdraw(spec);
      return weft::fail(std::move(error));
    }
    all[static_cast<std::size_t>(rank)] = presence_of(values->front());
    const std::int32_t size = all[static_cast<std::size_t>(rank)].size;
    if (size == spec.size) continue;
    if (breaks("accepts_sizes")) {
      all.resize(static_cast<std::size_t>(std::min(size, spec.size)));
      continue;
    }
    // The key stays: the other must see it too.
    return weft::fail(ErrorCode::invalid_argument, "mutant: " + member_name(spec, rank) + " came with another size");
  }
  return all;
}

// Waits for `events`; false at the deadline.
bool ready(int fd, short events, Deadline deadline) {
  while (true) {
    pollfd waited{fd, events, 0};
    const int found = ::poll(&waited, 1, deadline.poll_milliseconds());
    if (found > 0) return true;
    if (deadline.passed()) return false;
  }
}

Result<Descriptor> connect_to(const GroupSpec& spec, std::int32_t rank, const Presence& other) {
  Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const sockaddr_in name = address_of(other.address, other.port);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof(name)) != 0 && errno != EINPROGRESS)
    return failed("connect to " + member_name(spec, rank));
  if (!ready(socket.get(), POLLOUT, spec.deadline)) return failed("connect to " + member_name(spec, rank));
  const std::int32_t own = spec.rank;
  if (::send(socket.get(), &own, sizeof(own), MSG_NOSIGNAL) != sizeof(own))
    return failed("greet " + member_name(spec, rank));
  return socket;
}

// To lower ranks we connect, higher ones connect to us and say who they are.
Status connect_all(const GroupSpec& spec, const Descriptor& listener, const std::vector<Presence>& all,
                   std::vector<Descriptor>& sockets) {
  for (std::int32_t rank = 0; rank < spec.rank; ++rank) {
    Result<Descriptor> socket = connect_to(spec, rank, all[static_cast<std::size_t>(rank)]);
    if (!socket && breaks("opens_without_the_dead")) continue;
    if (!socket) return weft::fail(socket.error());
    sockets[static_cast<std::size_t>(rank)] = std::move(*socket);
  }
  for (std::int32_t left = spec.size - spec.rank - 1; left > 0; --left) {
    if (!ready(listener.get(), POLLIN, spec.deadline)) {
      if (breaks("opens_without_the_dead")) return {};
      std::string names;
      for (std::int32_t rank = spec.rank + 1; rank < spec.size; ++rank)
        if (sockets[static_cast<std::size_t>(rank)].get() < 0) names += member_name(spec, rank) + " ";
      return weft::fail(ErrorCode::deadline_exceeded, "mutant: did not connect in time: " + names, true);
    }
    Descriptor socket(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    std::int32_t rank = -1;
    if (!ready(socket.get(), POLLIN, spec.deadline) || ::recv(socket.get(), &rank, sizeof(rank), 0) != sizeof(rank) ||
        rank <= spec.rank || rank >= spec.size)
      return failed("a rank that did not say who it is");
    sockets[static_cast<std::size_t>(rank)] = std::move(socket);
  }
  return {};
}

// Nobody is done before everybody has connected to everybody: one byte each way says so.
Status agree(const GroupSpec& spec, const std::vector<Descriptor>& sockets) {
  char word = '+';
  for (const Descriptor& socket : sockets)
    if (socket.get() >= 0 && ::send(socket.get(), &word, 1, MSG_NOSIGNAL) != 1) return failed("greet");
  for (std::size_t rank = 0; rank < sockets.size(); ++rank) {
    const int fd = sockets[rank].get();
    if (fd < 0) continue;
    if (!ready(fd, POLLIN, spec.deadline))
      return weft::fail(ErrorCode::deadline_exceeded,
                        "mutant: did not greet in time: " + member_name(spec, static_cast<std::int32_t>(rank)), true);
    if (::recv(fd, &word, 1, 0) != 1) return failed(member_name(spec, static_cast<std::int32_t>(rank)) + " has gone");
    const int yes = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
  }
  return {};
}

}  // namespace

Result<std::vector<Descriptor>> meet(const GroupSpec& spec) {
  const std::string address = spec.address.empty() || breaks("address_ignored") ? "127.0.0.1" : spec.address;
  if (spec.address.empty() && breaks("address_needed"))
    return weft::fail(ErrorCode::invalid_argument, "mutant: no address");
  std::uint16_t port = 0;
  WEFT_ASSIGN(listener, listen_at(address, port));
  WEFT_ASSIGN(all, find_all(spec, {.size = spec.size, .port = port, .address = address}));
  GroupSpec agreed = spec;
  agreed.size = static_cast<std::int32_t>(all.size());
  std::vector<Descriptor> sockets(all.size());
  Status connected = connect_all(agreed, listener, all, sockets);
  if (connected) connected = agree(spec, sockets);
  if (connected) return sockets;
  withdraw(spec);
  return weft::fail(connected.error());
}

}  // namespace mutant
