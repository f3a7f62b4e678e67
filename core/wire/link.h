// Links: ordered, counted, bounded message streams between one listener (head, router) and its dialers
// (workers, leaders). ZeroMQ (ROUTER and DEALER) below, protobuf envelopes above.
//
// A link begins with Open (token, role, rank, versions) and Opened or Refused. From then on every envelope
// carries the incarnation, the link's epoch, a sequence number and credit. A gap, a wrong epoch or
// incarnation, or a peer that ZeroMQ reports gone for longer than `dead_after`, ends the link: the handler
// hears on_down once, with the reason. Credit bounds what is on its way: beyond it messages wait in the
// sender; a sender whose queue passes `max_queued` sees the peer as down. Nothing is dropped silently.
// Malformed, oversized or out-of-state messages are logged with the peer's rank and dropped; they never bring
// the listener down. (Messages that were counted and are malformed end their link.)
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/wire/messages.pb.h"
#include "weft/status.h"
#include "weft/time.h"

namespace weft::wire {

inline constexpr std::uint32_t wire_version = 1;
inline constexpr std::uint32_t wire_version_min = 1;

using LinkId = std::uint64_t;  // never repeats in a listener; 0 is none

struct LinkLimits {
  std::size_t max_message = 64u << 20;  // bytes of one envelope
  std::uint64_t window = 1024;          // messages on their way in each direction
  std::size_t max_queued = 65536;       // messages waiting for credit in a sender
  // Silence of the transport (ZeroMQ heartbeats) until a peer is down; at least 100 ms.
  Duration dead_after = std::chrono::seconds(5);
};

// Who is at the other end, as Open said and the token proved.
struct Peer {
  LinkId link = 0;
  Role role = ROLE_UNKNOWN;
  std::int32_t rank = -1;
  std::int64_t incarnation = 0;
};

class Listener;

// Called on the listener's own thread, one call at a time; must not block. May call send(), close() and post(). Outlives
// its listener.
class ListenerHandler {
 public:
  virtual ~ListenerHandler() = default;
  // Called in bind(), on its caller's thread, before all else: where to send. Valid until the listener is destroyed.
  virtual void on_bound(Listener& listener) { static_cast<void>(listener); }
  // A peer with a good token and version. An error refuses it: the peer is sent the error.
  virtual Status on_open(const Peer& peer) = 0;
  virtual void on_message(const Peer& peer, const Envelope& envelope) = 0;
  // Once for each link that on_open accepted. An orderly end (Bye) has code `cancelled`.
  virtual void on_down(const Peer& peer, const Error& why) = 0;
};

struct ListenOptions {
  std::string name;                            // of the thread and in logs: "head", "router-1"
  std::string endpoint = "tcp://127.0.0.1:0";  // port 0: any
  std::string token;                           // what Open must bring; not empty
  LinkLimits limits = {};
  std::function<void(std::string)> log = {};  // warnings, at most some ten a second; on the link's thread
};

class Listener {
 public:
  // Binds and starts the thread. unavailable names the endpoint where it is taken.
  static Result<std::unique_ptr<Listener>> bind(ListenOptions options, ListenerHandler& handler);
  // Not from a handler. Flushes for at most a second, sends Bye to all, calls on_down (cancelled) for each link, joins
  // the thread; no handler call afterwards.
  virtual ~Listener() = default;
  // As bound, with the port: "tcp://127.0.0.1:40123".
  virtual const std::string& endpoint() const noexcept = 0;
  // Any thread. `body` is an envelope whose body alone is set. not_found: no such link (any more). invalid_argument:
  // larger than max_message. resource_exhausted: max_queued is passed; the link ends.
  virtual Status send(LinkId link, Envelope body) = 0;
  // Any thread: ends the link after what was sent before (what still waits for credit is dropped and logged); the
  // peer hears Bye, on_down is called (code cancelled).
  virtual void close(LinkId link, const std::string& reason) = 0;
  // Any thread: runs `task` on the listener's thread, after what is queued there. Tasks that are not due when the
  // listener is destroyed are dropped.
  virtual void post(std::function<void()> task) = 0;
  virtual void post_at(Time at, std::function<void()> task) = 0;
};

// Called on the dialer's own thread, one call at a time; must not block.
class DialerHandler {
 public:
  virtual ~DialerHandler() = default;
  // May come before dial() has returned.
  virtual void on_message(const Envelope& envelope) = 0;
  // Once, unless the dialer is destroyed first; nothing can be sent from here on. cancelled: the listener said Bye.
  virtual void on_down(const Error& why) = 0;
};

struct DialOptions {
  std::string name;  // of the thread and in logs
  std::string endpoint;
  std::string token;
  Role role = ROLE_WORKER;
  std::int32_t rank = -1;
  std::int64_t incarnation = 0;
  LinkLimits limits = {};
  std::function<void(std::string)> log = {};  // as in ListenOptions
};

class Dialer {
 public:
  // Returns once Opened has come. refused / permission_denied: the listener's own words; deadline_exceeded
  // names the endpoint.
  static Result<std::unique_ptr<Dialer>> dial(DialOptions options, DialerHandler& handler, Deadline deadline);
  // Not from a handler. Flushes for at most a second, sends Bye, joins the thread.
  virtual ~Dialer() = default;
  // Any thread. unavailable: the link is down; otherwise as Listener::send.
  virtual Status send(Envelope body) = 0;
};

}  // namespace weft::wire
