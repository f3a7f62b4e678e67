#include "core/store/store.h"

#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/store/entries.h"
#include "core/wire/convert.h"

namespace weft::store {
namespace {

using Kind = wire::StoreRequest;

// Waits whose end lies beyond this do not end by time. It keeps the sum with `now` in range.
constexpr std::int64_t forever_ms = std::int64_t{1000} * 3600 * 24 * 365 * 10;

Result<std::int64_t> parse_number(std::string_view key, const Entries::Entry& entry) {
  std::int64_t number = 0;
  const char* end = entry.value.data() + entry.value.size();
  const auto [stop, error] = std::from_chars(entry.value.data(), end, number);
  if (error == std::errc{} && stop == end) return number;
  return fail(ErrorCode::invalid_argument,
              fmt::format("store: key '{}' (set by source {}) holds '{}', expected a 64-bit number", key, entry.source,
                          to_printable(std::string_view(entry.value).substr(0, 32))));
}

}  // namespace

std::string to_printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c < 0x20 || c > 0x7e) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out;
}

struct StoreState::Implementation {
  struct Wait {
    std::uint64_t source = 0;
    std::uint64_t request = 0;  // the client's id
    std::vector<std::string> keys;
    std::size_t cursor = 0;  // index of the missing key under which it is filed
    std::size_t bytes = 0;   // of its keys
    Time deadline;
    Reply reply;
  };

  explicit Implementation(StoreLimits limits) : entries(limits) {}

  Result<wire::StoreReply> execute(const wire::StoreRequest& request, std::uint64_t source);
  Result<wire::StoreReply> add(const wire::StoreRequest& request, std::uint64_t source);
  Result<wire::StoreReply> compare_and_set(const wire::StoreRequest& request, std::uint64_t source);
  Status put(std::string_view key, std::string_view value, std::uint64_t source);
  Status begin_wait(const wire::StoreRequest& request, std::uint64_t source, Time now, Reply& reply);
  Status check_wait(const wire::StoreRequest& request) const;
  void wake(const std::string& key);
  bool find_missing(Wait& wait) const;
  Result<wire::StoreReply> answer(const Wait& wait) const;
  void file(std::uint64_t id);
  Wait take(std::uint64_t id);
  Error missed(const Wait& wait) const;

  Entries entries;
  std::unordered_map<std::uint64_t, Wait> waits;
  std::uint64_t last_wait = 0;
  std::size_t wait_bytes = 0;
  // Each wait is filed under one key that it misses; when that key comes, under the next.
  std::map<std::string, std::set<std::uint64_t>, std::less<>> missing;
  std::set<std::pair<Time, std::uint64_t>> deadlines;
};

namespace {

wire::StoreReply reply_of(std::uint64_t request, Result<wire::StoreReply> result) {
  wire::StoreReply reply;
  if (result) {
    reply = std::move(*result);
  } else {
    *reply.mutable_error() = wire::to_wire(result.error());
  }
  reply.set_id(request);
  return reply;
}

wire::StoreReply with_number(std::int64_t number) {
  wire::StoreReply reply;
  reply.set_number(number);
  return reply;
}

wire::StoreReply with_value(std::string_view value) {
  wire::StoreReply reply;
  reply.add_values(value.data(), value.size());
  return reply;
}

}  // namespace

Result<wire::StoreReply> StoreState::Implementation::execute(const wire::StoreRequest& request, std::uint64_t source) {
  if (request.keys_size() != 1) {
    return fail(ErrorCode::invalid_argument, fmt::format("store: {} keys, expected one", request.keys_size()));
  }
  const std::string& key = request.keys(0);
  const bool list_all = request.kind() == Kind::LIST && key.empty();
  if (request.kind() == Kind::REMOVE_PREFIX && key.empty()) {
    return fail(ErrorCode::invalid_argument, "store: an empty prefix would remove every key; name one");
  }
  if (!list_all) WEFT_TRY(entries.check_key(key));
  switch (request.kind()) {
    case Kind::SET: WEFT_TRY(put(key, request.value(), source)); return wire::StoreReply{};
    case Kind::GET: {
      const Entries::Entry* entry = entries.find(key);
      if (entry == nullptr) return fail(ErrorCode::not_found, fmt::format("store: no key '{}'", key));
      return with_value(entry->value);
    }
    case Kind::ADD: return add(request, source);
    case Kind::COMPARE_AND_SET: return compare_and_set(request, source);
    case Kind::REMOVE: return with_number(entries.erase(key) ? 1 : 0);
    case Kind::REMOVE_PREFIX: return with_number(entries.erase_prefix(key));
    case Kind::LIST: {
      WEFT_ASSIGN(keys, entries.keys_under(key));
      wire::StoreReply reply;
      for (std::string& one : keys)
        reply.add_values(std::move(one));
      return reply;
    }
    default: break;
  }
  return fail(ErrorCode::unimplemented,
              fmt::format("store: operation {} is unknown to this version", static_cast<int>(request.kind())));
}

Result<wire::StoreReply> StoreState::Implementation::add(const wire::StoreRequest& request, std::uint64_t source) {
  const std::string& key = request.keys(0);
  std::int64_t number = 0;
  if (const Entries::Entry* entry = entries.find(key)) {
    WEFT_ASSIGN(held, parse_number(key, *entry));
    number = held;
  }
  std::int64_t sum = 0;
  if (__builtin_add_overflow(number, request.delta(), &sum)) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("store: key '{}': {} + {} does not fit 64 bits", key, number, request.delta()));
  }
  WEFT_TRY(put(key, fmt::format("{}", sum), source));
  return with_number(sum);
}

Result<wire::StoreReply> StoreState::Implementation::compare_and_set(const wire::StoreRequest& request,
                                                                     std::uint64_t source) {
  const std::string& key = request.keys(0);
  const Entries::Entry* entry = entries.find(key);
  if (entry == nullptr && request.has_expected()) {
    return fail(ErrorCode::not_found,
                fmt::format("store: no key '{}', expected it to hold {} bytes", key, request.expected().size()));
  }
  if (entry != nullptr && (!request.has_expected() || request.expected() != entry->value)) {
    return with_value(entry->value);
  }
  WEFT_TRY(put(key, request.value(), source));
  return with_value(request.value());
}

Status StoreState::Implementation::put(std::string_view key, std::string_view value, std::uint64_t source) {
  const bool was_there = entries.find(key) != nullptr;
  WEFT_TRY(entries.put(key, value, source));
  if (!was_there) wake(std::string(key));
  return {};
}

Status StoreState::Implementation::check_wait(const wire::StoreRequest& request) const {
  if (request.keys_size() == 0) return fail(ErrorCode::invalid_argument, "store: a wait for no keys");
  std::size_t bytes = 0;
  for (const std::string& key : request.keys()) {
    WEFT_TRY(entries.check_key(key));
    WEFT_TRY(entries.check_retired(key));
    bytes += key.size();
  }
  const StoreLimits& limits = entries.limits();
  if (waits.size() >= limits.waits || wait_bytes + bytes > limits.wait_bytes) {
    return fail(
        ErrorCode::resource_exhausted,
        fmt::format("store: cannot wait for {} keys ({} bytes): {} waits with {} bytes of keys are under way, the "
                    "limits are {} and {}",
                    request.keys_size(), bytes, waits.size(), wait_bytes, limits.waits, limits.wait_bytes),
        true);
  }
  return {};
}

// On success `reply` has been called or is kept.
Status StoreState::Implementation::begin_wait(const wire::StoreRequest& request, std::uint64_t source, Time now,
                                              Reply& reply) {
  WEFT_TRY(check_wait(request));
  Wait wait{.source = source,
            .request = request.id(),
            .keys = {request.keys().begin(), request.keys().end()},
            .cursor = 0,
            .bytes = 0,
            .deadline = Time::max(),
            .reply = {}};
  for (const std::string& key : wait.keys)
    wait.bytes += key.size();
  if (!find_missing(wait)) {
    WEFT_ASSIGN(values, answer(wait));
    reply(reply_of(wait.request, std::move(values)));
    return {};
  }
  if (request.timeout_ms() <= 0) return fail(missed(wait));
  if (request.timeout_ms() < forever_ms) wait.deadline = now + std::chrono::milliseconds(request.timeout_ms());
  wait.reply = std::move(reply);
  const std::uint64_t id = ++last_wait;
  wait_bytes += wait.bytes;
  if (wait.deadline != Time::max()) deadlines.emplace(wait.deadline, id);
  waits.emplace(id, std::move(wait));
  file(id);
  return {};
}

// Sets the cursor to a key that is missing; false if none is. It looks on from where it is, so that a wait
// for n keys that come in order costs n looks in all.
bool StoreState::Implementation::find_missing(Wait& wait) const {
  for (std::size_t step = 0; step < wait.keys.size(); ++step) {
    const std::size_t index = (wait.cursor + step) % wait.keys.size();
    if (entries.find(wait.keys[index]) == nullptr) {
      wait.cursor = index;
      return true;
    }
  }
  return false;
}

void StoreState::Implementation::file(std::uint64_t id) {
  const Wait& wait = waits.at(id);
  missing[wait.keys[wait.cursor]].insert(id);
}

void StoreState::Implementation::wake(const std::string& key) {
  const auto found = missing.find(key);
  if (found == missing.end()) return;
  const std::set<std::uint64_t> ids = std::move(found->second);
  missing.erase(found);
  for (const std::uint64_t id : ids) {
    Wait& wait = waits.at(id);
    if (find_missing(wait)) {
      file(id);
    } else {
      const Wait done = take(id);
      done.reply(reply_of(done.request, answer(done)));
    }
  }
}

Result<wire::StoreReply> StoreState::Implementation::answer(const Wait& wait) const {
  wire::StoreReply reply;
  std::size_t bytes = 0;
  for (const std::string& key : wait.keys) {
    const std::string& value = entries.find(key)->value;
    bytes += value.size();
    if (bytes > entries.limits().reply_bytes) {
      return fail(ErrorCode::resource_exhausted,
                  fmt::format("store: the values of {} keys have more than {} bytes; wait "
                              "for fewer at a time",
                              wait.keys.size(), entries.limits().reply_bytes));
    }
    reply.add_values(value);
  }
  return reply;
}

StoreState::Implementation::Wait StoreState::Implementation::take(std::uint64_t id) {
  const auto found = waits.find(id);
  Wait wait = std::move(found->second);
  waits.erase(found);
  wait_bytes -= wait.bytes;
  deadlines.erase({wait.deadline, id});
  const auto filed = missing.find(wait.keys[wait.cursor]);
  if (filed != missing.end()) {
    filed->second.erase(id);
    if (filed->second.empty()) missing.erase(filed);
  }
  return wait;
}

Error StoreState::Implementation::missed(const Wait& wait) const {
  std::string names;
  std::size_t count = 0;
  for (const std::string& key : wait.keys) {
    if (entries.find(key) != nullptr) continue;
    names += (count == 0 ? "'" : ", '") + key + "'";
    ++count;
  }
  return Error{.code = ErrorCode::deadline_exceeded,
               .message = fmt::format("store: {} of {} keys did not come: {}", count, wait.keys.size(), names),
               .retryable = true};
}

StoreState::StoreState(StoreLimits limits) : implementation_(std::make_unique<Implementation>(limits)) {}
StoreState::~StoreState() = default;

void StoreState::apply(const wire::StoreRequest& request, std::uint64_t source, Time now, Reply reply) {
  if (request.kind() == Kind::WAIT) {
    const Status status = implementation_->begin_wait(request, source, now, reply);
    if (!status) reply(reply_of(request.id(), fail(status.error())));
  } else {
    reply(reply_of(request.id(), implementation_->execute(request, source)));
  }
}

void StoreState::expire(Time now) {
  auto& deadlines = implementation_->deadlines;
  while (!deadlines.empty() && deadlines.begin()->first <= now) {
    const auto wait = implementation_->take(deadlines.begin()->second);
    wait.reply(reply_of(wait.request, fail(implementation_->missed(wait))));
  }
}

Time StoreState::next_deadline() const noexcept {
  return implementation_->deadlines.empty() ? Time::max() : implementation_->deadlines.begin()->first;
}

void StoreState::forget(std::uint64_t source) {
  std::vector<std::uint64_t> gone;
  for (const auto& [id, wait] : implementation_->waits) {
    if (wait.source == source) gone.push_back(id);
  }
  for (const std::uint64_t id : gone)
    implementation_->take(id);
}

void StoreState::retire(std::string_view prefix, const std::string& why) {
  if (prefix.empty()) return;  // the whole store is not a group
  implementation_->entries.retire(prefix, why);
  std::vector<std::uint64_t> ended;
  for (const auto& [id, wait] : implementation_->waits) {
    for (const std::string& key : wait.keys) {
      if (std::string_view(key).substr(0, prefix.size()) != prefix) continue;
      ended.push_back(id);
      break;
    }
  }
  for (const std::uint64_t id : ended) {
    const auto wait = implementation_->take(id);
    wait.reply(
        reply_of(wait.request, fail(ErrorCode::aborted, fmt::format("store: '{}' is retired: {}", prefix, why))));
  }
}

void StoreState::fail_waits(const Error& why) {
  while (!implementation_->waits.empty()) {
    const auto wait = implementation_->take(implementation_->waits.begin()->first);
    wait.reply(reply_of(wait.request, fail(why)));
  }
}

std::size_t StoreState::size() const noexcept { return implementation_->entries.size(); }

}  // namespace weft::store
