// Serves a StoreHost to the peers of a listener.
#pragma once

#include <unordered_map>

#include "core/store/store_host.h"
#include "core/wire/link.h"

namespace weft::store {

// What a ListenerHandler calls with StoreRequests: on_request() and on_down() on the listener's thread, bind() from its
// on_bound(). Outlives the listener; the host outlives both.
class StoreService {
 public:
  explicit StoreService(StoreHost& host) : host_(host) {}

  void bind(wire::Listener& listener) { listener_ = &listener; }
  void on_request(const wire::Peer& peer, const wire::StoreRequest& request);
  // Drops what the peer was waiting for. Its keys stay: the head retires them with its incarnation.
  void on_down(const wire::Peer& peer);

 private:
  void arm_timer();

  StoreHost& host_;
  wire::Listener* listener_ = nullptr;
  std::unordered_map<wire::LinkId, std::uint64_t> sources_;
  Time armed_ = Time::max();  // when the timer that is set will expire waits
};

}  // namespace weft::store
