// The rendezvous store as workers and plugins see it: a small key-value map kept by the head.
//
// Keys are paths, "group/<id>/<incarnation>/...": a group's keys vanish when it closes or when the head retires its
// incarnation. Values are bytes, at most 1 MiB; keys at most 1 KiB. All calls are safe from any thread and block at
// most until their deadline. The head's death makes every call fail with `unavailable`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weft/status.h"
#include "weft/time.h"

namespace weft {

class StoreClient {
 public:
  virtual ~StoreClient() = default;

  virtual Status set(std::string_view key, std::string_view value, Deadline deadline) = 0;
  // not_found when the key is absent; does not wait for it.
  virtual Result<std::string> get(std::string_view key, Deadline deadline) = 0;
  // Waits until all keys exist and returns their values in order. At the deadline: deadline_exceeded, and the message
  // names every key that is missing.
  virtual Result<std::vector<std::string>> wait(const std::vector<std::string>& keys, Deadline deadline) = 0;
  // Adds to a decimal counter (absent: 0) and returns the new value. invalid_argument if the value is not a number.
  virtual Result<std::int64_t> add(std::string_view key, std::int64_t delta, Deadline deadline) = 0;
  // Sets `desired` if the key holds `expected` (nullopt: is absent). Returns the value the key holds afterwards, so
  // success is `*result == desired`.
  virtual Result<std::string> compare_and_set(std::string_view key, std::optional<std::string_view> expected,
                                              std::string_view desired, Deadline deadline) = 0;
  // Whether the key was there.
  virtual Result<bool> remove(std::string_view key, Deadline deadline) = 0;
  // Removes every key that starts with the prefix; returns how many. An empty prefix is refused.
  virtual Result<std::int64_t> remove_prefix(std::string_view prefix, Deadline deadline) = 0;
  // Keys that start with the prefix, sorted.
  virtual Result<std::vector<std::string>> list(std::string_view prefix, Deadline deadline) = 0;
};

}  // namespace weft
