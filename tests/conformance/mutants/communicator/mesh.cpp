#include "tests/conformance/mutants/communicator/mesh.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "tests/conformance/mutants/communicator/meeting.h"
#include "tests/conformance/mutants/communicator/switches.h"

namespace mutant {
namespace {

struct Header {
  std::uint64_t bytes = 0;     // of the data behind it
  std::uint64_t sequence = 0;  // of a collective
  std::uint32_t tag = 0;       // of a message
  std::uint32_t is_message = 0;
};

Bytes frame(const Header& header, std::span<const std::byte> data) {
  Bytes made(sizeof(header) + data.size());
  std::memcpy(made.data(), &header, sizeof(header));
  if (!data.empty()) std::memcpy(made.data() + sizeof(header), data.data(), data.size());
  return made;
}

std::uint64_t queue(Peer& peer, Bytes made) {
  peer.out.push_back(std::move(made));
  return ++peer.queued;
}

constexpr std::uint32_t farewell = 2;  // of is_message

void deliver(Peer& peer, const Header& header, Bytes data) {
  if (header.is_message == farewell) {
    peer.farewell = true;
    return;
  }
  if (header.is_message == 0) {
    if (breaks("the_dead_give_their_last")) peer.last = data;
    peer.collectives[header.sequence] = std::move(data);
    return;
  }
  if (breaks("long_messages_cut") && data.size() > 65536) std::memset(data.data() + 65536, 0, data.size() - 65536);
  std::deque<Bytes>& mail = peer.mail[breaks("tag_ignored") ? 0 : header.tag];
  breaks("last_in_first_out") ? mail.push_front(std::move(data)) : mail.push_back(std::move(data));
}

}  // namespace

Descriptor::Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}
Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

std::string member_name(const weft::GroupSpec& spec, std::int32_t rank) {
  const auto index = static_cast<std::size_t>(rank);
  return index < spec.members.size() ? spec.members[index] : "rank " + std::to_string(rank);
}

std::string key_prefix(const weft::GroupSpec& spec) {
  const std::string id = breaks("ids_cut_short") ? spec.id.substr(0, 12) : spec.id;
  return (breaks("keys_elsewhere") ? "mutant/" : "group/") + id + "/mutant/";
}

weft::Status leave(const weft::GroupSpec& spec, weft::Deadline deadline) {
  WEFT_ASSIGN(left, spec.store->add(key_prefix(spec) + "left", 1, deadline));
  if (left < spec.size || breaks("leaves_keys")) return {};
  const std::string mine = breaks("removes_others_keys") ? "group/" + spec.id : key_prefix(spec);
  WEFT_TRY(spec.store->remove_prefix(mine, deadline));
  return {};
}

weft::Result<Mesh> Mesh::open(const weft::GroupSpec& spec) {
  Mesh mesh;
  mesh.rank_ = spec.rank;
  mesh.peers_.resize(static_cast<std::size_t>(spec.size));
  if (spec.size == 1) return mesh;
  WEFT_ASSIGN(sockets, meet(spec));
  for (std::size_t rank = 0; rank < sockets.size(); ++rank)
    mesh.peers_[rank].socket = std::move(sockets[rank]);
  return mesh;
}

std::uint64_t Mesh::queue_collective(std::int32_t to, std::uint64_t sequence, std::span<const std::byte> data) {
  return queue(peer(to), frame({.bytes = data.size(), .sequence = sequence, .tag = 0, .is_message = 0}, data));
}
std::uint64_t Mesh::queue_message(std::int32_t to, std::uint32_t tag, std::span<const std::byte> data) {
  return queue(peer(to), frame({.bytes = data.size(), .sequence = 0, .tag = tag, .is_message = 1}, data));
}

void Mesh::write(Peer& peer) {
  while (!peer.out.empty()) {
    const Bytes& first = peer.out.front();
    const ssize_t sent = ::send(peer.socket.get(), first.data() + peer.out_begin, first.size() - peer.out_begin,
                                MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno != EAGAIN && errno != EINTR) peer.gone = true;
      return;
    }
    peer.out_begin += static_cast<std::size_t>(sent);
    if (peer.out_begin < first.size()) continue;
    peer.out.pop_front();
    peer.out_begin = 0;
    ++peer.written;
  }
}

void Mesh::read(std::size_t rank) {
  Peer& peer = peers_[rank];
  while (!peer.gone) {
    Header header;
    if (peer.in.size() >= sizeof(header)) std::memcpy(&header, peer.in.data(), sizeof(header));
    const std::size_t whole = sizeof(header) + header.bytes;
    const std::size_t had = peer.in.size();
    if (had < whole) {
      peer.in.resize(whole);
      const ssize_t got = ::recv(peer.socket.get(), peer.in.data() + had, whole - had, MSG_DONTWAIT);
      peer.in.resize(had + (got > 0 ? static_cast<std::size_t>(got) : 0));
      if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) peer.gone = true;
      if (got <= 0) return;
      continue;
    }
    deliver(peer, header, Bytes(peer.in.begin() + sizeof(header), peer.in.end()));
    peer.in.clear();
  }
}

void Mesh::pump() {
  for (std::size_t rank = 0; rank < peers_.size(); ++rank) {
    if (peers_[rank].socket.get() < 0) continue;
    read(rank);  // first what came before an end
    write(peers_[rank]);
  }
}

void Mesh::wait(int wake, weft::Deadline deadline) {
  std::vector<pollfd> waited{{wake, POLLIN, 0}};
  for (const Peer& peer : peers_)
    if (peer.socket.get() >= 0 && !peer.gone)
      waited.push_back({peer.socket.get(), static_cast<short>(POLLIN | (peer.out.empty() ? 0 : POLLOUT)), 0});
  ::poll(waited.data(), waited.size(), breaks("spins") ? 0 : deadline.poll_milliseconds());
}

void Mesh::say_farewell() noexcept {
  const Header header{.bytes = 0, .sequence = 0, .tag = 0, .is_message = farewell};
  for (const Peer& peer : peers_)
    if (peer.socket.get() >= 0) (void)::send(peer.socket.get(), &header, sizeof(header), MSG_NOSIGNAL);
}

void Mesh::shut_down() noexcept {
  for (const Peer& peer : peers_)
    if (peer.socket.get() >= 0) ::shutdown(peer.socket.get(), SHUT_RDWR);
}

}  // namespace mutant
