// The rendezvous key-value store. The head owns a StoreState; plugins and workers see it through StoreClient:
// LocalStore in the head's own process, RemoteStore over a link to the head.
//
// StoreState is pure: no thread, no clock, no socket; time comes in with each call. Limits: keys 1 KiB, values 1 MiB,
// 1,000,000 keys, 256 MiB in all.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/wire/messages.pb.h"
#include "weft/store_client.h"

namespace weft::store {

// Keeps the map and whoever waits on it. One thread at a time.
class StoreState {
 public:
  using Reply = std::function<void(wire::StoreReply)>;  // called once, perhaps before apply() returns

  StoreState();
  ~StoreState();
  StoreState(const StoreState&) = delete;
  StoreState& operator=(const StoreState&) = delete;

  // Does one request. `source` names who asks (a rank, a link), for messages and for forget().
  void apply(const wire::StoreRequest& request, std::uint64_t source, Time now, Reply reply);
  // Ends every wait whose deadline has passed: deadline_exceeded naming the missing keys.
  void expire(Time now);
  // When expire() must next be called; Time::max() if nobody waits.
  Time next_deadline() const noexcept;
  // Drops the waits of a source that has gone, without a reply.
  void forget(std::uint64_t source);
  // The head retires an incarnation or a group: every key under the prefix goes, waits for them fail with `aborted`.
  void retire(std::string_view prefix, const std::string& why);
  std::size_t size() const noexcept;

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace weft::store
