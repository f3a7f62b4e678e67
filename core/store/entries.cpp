#include "core/store/entries.h"

#include <fmt/format.h>

#include <algorithm>

namespace weft::store {
namespace {

constexpr std::size_t retired_kept = 65'536;

bool starts_with(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

}  // namespace

Status Entries::check_key(std::string_view key) const {
  if (key.empty()) return fail(ErrorCode::invalid_argument, "store: empty key");
  if (key.size() > limits_.key_bytes) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("store: key '{}...' has {} bytes, expected at most {}", to_printable(key.substr(0, 32)),
                            key.size(), limits_.key_bytes));
  }
  const auto bad = std::find_if(key.begin(), key.end(), [](char c) { return c < 0x20 || c > 0x7e; });
  if (bad != key.end()) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("store: key '{}' has byte 0x{:02x} at {}, expected printable ASCII", to_printable(key),
                            static_cast<unsigned char>(*bad), bad - key.begin()));
  }
  return {};
}

const Entries::Entry* Entries::find(std::string_view key) const {
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : &found->second;
}

Status Entries::put(std::string_view key, std::string_view value, std::uint64_t source) {
  WEFT_TRY(check_retired(key));
  if (value.size() > limits_.value_bytes) {
    return fail(ErrorCode::invalid_argument, fmt::format("store: value of key '{}' has {} bytes, expected at most {}",
                                                         key, value.size(), limits_.value_bytes));
  }
  const auto found = entries_.find(key);
  const bool is_new = found == entries_.end();
  if (is_new && entries_.size() >= limits_.keys) {
    return fail(ErrorCode::resource_exhausted,
                fmt::format("store: cannot set '{}': it holds {} keys, its limit; remove what is no longer needed", key,
                            entries_.size()));
  }
  const std::size_t before = is_new ? 0 : key.size() + found->second.value.size();
  const std::size_t after = bytes_ - before + key.size() + value.size();
  if (after > limits_.total_bytes) {
    return fail(ErrorCode::resource_exhausted,
                fmt::format("store: cannot set '{}' to {} bytes: it would hold {} bytes, its limit is {}", key,
                            value.size(), after, limits_.total_bytes));
  }
  if (is_new) {
    entries_.emplace(std::string(key), Entry{.value = std::string(value), .source = source});
  } else {
    found->second = Entry{.value = std::string(value), .source = source};
  }
  bytes_ = after;
  return {};
}

bool Entries::erase(std::string_view key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return false;
  bytes_ -= found->first.size() + found->second.value.size();
  entries_.erase(found);
  return true;
}

std::int64_t Entries::erase_prefix(std::string_view prefix) {
  std::int64_t erased = 0;
  auto at = entries_.lower_bound(prefix);
  while (at != entries_.end() && starts_with(at->first, prefix)) {
    bytes_ -= at->first.size() + at->second.value.size();
    at = entries_.erase(at);
    ++erased;
  }
  return erased;
}

Result<std::vector<std::string>> Entries::keys_under(std::string_view prefix) const {
  std::vector<std::string> keys;
  std::size_t bytes = 0;
  for (auto at = entries_.lower_bound(prefix); at != entries_.end() && starts_with(at->first, prefix); ++at) {
    bytes += at->first.size();
    if (bytes > limits_.reply_bytes) {
      return fail(ErrorCode::resource_exhausted,
                  fmt::format("store: the keys under '{}' have more than {} bytes; list a longer prefix", prefix,
                              limits_.reply_bytes));
    }
    keys.push_back(at->first);
  }
  return keys;
}

void Entries::retire(std::string_view prefix, const std::string& why) {
  erase_prefix(prefix);
  if (prefix.empty() || !check_retired(prefix)) return;
  auto at = retired_.lower_bound(prefix);
  while (at != retired_.end() && starts_with(at->first, prefix))
    at = retired_.erase(at);
  retired_.emplace(std::string(prefix), why);
  retired_order_.emplace_back(prefix);
  // An entry of the order may be gone from the map (a shorter prefix took it in); then there is nothing to
  // erase.
  if (retired_order_.size() > retired_kept) {
    retired_.erase(retired_order_.front());
    retired_order_.pop_front();
  }
}

Status Entries::check_retired(std::string_view key) const {
  auto above = retired_.upper_bound(key);
  if (above == retired_.begin()) return {};
  --above;
  if (!starts_with(key, above->first)) return {};
  return fail(ErrorCode::aborted, fmt::format("store: '{}' is retired: {}", above->first, above->second));
}

}  // namespace weft::store
