// The rendezvous key-value store. The head owns a StoreState; plugins and workers see it through StoreClient:
// LocalStore in the head's own process, RemoteStore over a link to the head.
//
// StoreState is pure: no thread, no clock, no socket; time comes in with each call. Limits: keys 1 KiB,
// values 1 MiB, 1,000,000 keys, 256 MiB in all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/wire/messages.pb.h"
#include "weft/store_client.h"

namespace weft::store {

// `text` with bytes that are not printable ASCII as \x0a, for messages.
std::string to_printable(std::string_view text);

struct StoreLimits {
  std::size_t key_bytes = 1024;
  std::size_t value_bytes = 1u << 20;
  std::size_t keys = 1'000'000;
  std::size_t total_bytes = 256u << 20;  // of keys and values
  std::size_t waits = 65'536;            // at one time
  std::size_t wait_bytes = 64u << 20;    // of the keys that are waited for
  std::size_t reply_bytes = 32u << 20;   // of the values or keys in one reply
};

// Keeps the map and whoever waits on it. One thread at a time. Keys are printable ASCII.
class StoreState {
 public:
  // Called once, perhaps before apply() returns; must not call back into the state.
  using Reply = std::function<void(wire::StoreReply)>;

  explicit StoreState(StoreLimits limits = {});
  ~StoreState();
  StoreState(const StoreState&) = delete;
  StoreState& operator=(const StoreState&) = delete;

  // Does one request. COMPARE_AND_SET of an absent key that is expected to hold something: not_found.
  // `source` names who asks (a rank, a link), for messages and for forget().
  void apply(const wire::StoreRequest& request, std::uint64_t source, Time now, Reply reply);
  // Ends every wait whose deadline has passed: deadline_exceeded naming the missing keys.
  void expire(Time now);
  // When expire() must next be called; Time::max() if nobody waits.
  Time next_deadline() const noexcept;
  // Drops the waits of a source that has gone, without a reply.
  void forget(std::uint64_t source);
  // The head retires an incarnation or a group: every key under the prefix goes, waits for them fail with
  // `aborted`, and so do later waits and writes there (of the last 65,536 prefixes): what is retired does not
  // come back.
  void retire(std::string_view prefix, const std::string& why);
  // The store closes: every wait ends with `why`.
  void fail_waits(const Error& why);
  std::size_t size() const noexcept;

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace weft::store
