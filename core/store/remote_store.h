// StoreClient over a link to the head.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "core/store/store_calls.h"

namespace weft::store {

// Any thread. The owner of the dialer gives it a way to send and hands it what the dialer's handler hears:
//
//   void on_message(const wire::Envelope& envelope) override { if (remote.handle(envelope)) return; ... }
//   void on_down(const Error& why) override { remote.fail(why); ... }
//
// A wait asks the head to answer a little before its own deadline (a quarter of it, at most a second), because only the
// head knows which keys are missing. No call may be made on the dialer's thread: it would wait for itself.
class RemoteStore : public StoreCalls {
 public:
  explicit RemoteStore(std::function<Status(wire::Envelope)> send) : send_(std::move(send)) {}

  // True if the envelope was a StoreReply, whoever it was for.
  bool handle(const wire::Envelope& envelope);
  // The link is down: every pending and later call ends with `unavailable`.
  void fail(const Error& why);

 protected:
  Result<wire::StoreReply> call(wire::StoreRequest request, Deadline deadline) override;

 private:
  struct Pending {
    std::condition_variable answered;
    std::optional<wire::StoreReply> reply;
  };

  const std::function<Status(wire::Envelope)> send_;
  std::mutex mutex_;  // guards all below
  std::uint64_t last_id_ = 0;
  std::unordered_map<std::uint64_t, Pending*> pending_;  // each lives on its caller's stack
  std::optional<Error> failed_;
};

}  // namespace weft::store
