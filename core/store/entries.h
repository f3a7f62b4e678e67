// The store's map: keys, values, who set them, and the limits. Knows nothing of waiting. One thread at a
// time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/store/store.h"
#include "weft/status.h"

namespace weft::store {

class Entries {
 public:
  struct Entry {
    std::string value;
    std::uint64_t source = 0;  // who set it last
  };

  explicit Entries(StoreLimits limits) : limits_(limits) {}

  // invalid_argument: empty, longer than the limit, or not printable ASCII.
  Status check_key(std::string_view key) const;
  // Null if absent.
  const Entry* find(std::string_view key) const;
  // resource_exhausted at a limit; aborted under a retired prefix. The key must have passed check_key().
  Status put(std::string_view key, std::string_view value, std::uint64_t source);
  bool erase(std::string_view key);
  std::int64_t erase_prefix(std::string_view prefix);
  // Sorted. resource_exhausted where they pass the limit of a reply.
  Result<std::vector<std::string>> keys_under(std::string_view prefix) const;
  // Erases what is under the prefix and refuses later writes there.
  void retire(std::string_view prefix, const std::string& why);
  // aborted if the key lies under a retired prefix.
  Status check_retired(std::string_view key) const;

  std::size_t size() const noexcept { return entries_.size(); }
  const StoreLimits& limits() const noexcept { return limits_; }

 private:
  using Map = std::map<std::string, Entry, std::less<>>;

  StoreLimits limits_;
  Map entries_;
  std::size_t bytes_ = 0;  // of keys and values
  // No retired prefix begins with another, so the one that covers a key is the greatest that is not above it.
  std::map<std::string, std::string, std::less<>> retired_;  // prefix -> why
  std::deque<std::string> retired_order_;
};

}  // namespace weft::store
