#include "core/store/store_service.h"

#include <utility>

namespace weft::store {

void StoreService::on_request(const wire::Peer& peer, const wire::StoreRequest& request) {
  auto source = sources_.find(peer.link);
  if (source == sources_.end()) source = sources_.emplace(peer.link, host_.new_source()).first;
  // The reply may come on any thread, but not after on_down() has made the host forget the source.
  host_.apply(request, source->second, Clock::now(), [listener = listener_, link = peer.link](wire::StoreReply reply) {
    wire::Envelope envelope;
    *envelope.mutable_store_reply() = std::move(reply);
    // If the link is down by now, nobody is left to tell.
    static_cast<void>(listener->send(link, std::move(envelope)));
  });
  if (request.kind() == wire::StoreRequest::WAIT) arm_timer();
}

void StoreService::on_down(const wire::Peer& peer) {
  const auto source = sources_.find(peer.link);
  if (source == sources_.end()) return;
  host_.forget(source->second);
  sources_.erase(source);
}

void StoreService::arm_timer() {
  const Time next = host_.next_deadline();
  if (next >= armed_) return;
  armed_ = next;
  listener_->post_at(next, [this, at = next] {
    host_.expire(Clock::now());
    if (armed_ != at) return;  // an earlier timer was set since; it has armed the next
    armed_ = Time::max();
    arm_timer();
  });
}

}  // namespace weft::store
