// The head's store, shared by its own threads (LocalStore) and its listener's thread (StoreService).
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "core/store/store.h"

namespace weft::store {

// A StoreState under a lock. Any thread. Replies are called under that lock, perhaps on another caller's
// thread: they must be quick and must not call back.
class StoreHost {
 public:
  explicit StoreHost(StoreLimits limits = {});

  // A number for one more client, for apply() and forget(); never 0, never the same.
  std::uint64_t new_source();
  void apply(const wire::StoreRequest& request, std::uint64_t source, Time now, StoreState::Reply reply);
  // Ends the waits that are due. Whoever has begun a wait calls it at that wait's deadline; there is no
  // thread here.
  void expire(Time now);
  Time next_deadline();
  void forget(std::uint64_t source);
  void retire(std::string_view prefix, const std::string& why);
  // Every wait and every later call ends with `why`.
  void close(const Error& why);
  std::size_t size();

 private:
  std::mutex mutex_;  // guards all below
  StoreState state_;
  std::uint64_t sources_ = 0;
  std::optional<Error> closed_;
};

}  // namespace weft::store
