#include "core/store/store_calls.h"

#include <fmt/format.h>

#include <chrono>
#include <limits>
#include <utility>

namespace weft::store {
namespace {

using Kind = wire::StoreRequest;

wire::StoreRequest request_for(Kind::Kind kind, std::string_view key) {
  wire::StoreRequest request;
  request.set_kind(kind);
  request.add_keys(key.data(), key.size());
  return request;
}

Result<std::string> only_value(wire::StoreReply reply) {
  if (reply.values_size() == 1) return std::move(*reply.mutable_values(0));
  return fail(ErrorCode::data_loss, fmt::format("store: a reply with {} values, expected one", reply.values_size()));
}

}  // namespace

std::int64_t milliseconds_left(Deadline deadline) noexcept {
  const Duration left = deadline.left();
  if (left == Duration::max()) return std::numeric_limits<std::int64_t>::max();
  return std::chrono::ceil<std::chrono::milliseconds>(left).count();
}

std::string describe(const wire::StoreRequest& request) {
  switch (request.kind()) {
    case Kind::SET: return fmt::format("set '{}'", request.keys(0));
    case Kind::GET: return fmt::format("get '{}'", request.keys(0));
    case Kind::ADD: return fmt::format("add to '{}'", request.keys(0));
    case Kind::COMPARE_AND_SET: return fmt::format("compare and set '{}'", request.keys(0));
    case Kind::REMOVE: return fmt::format("remove '{}'", request.keys(0));
    case Kind::REMOVE_PREFIX: return fmt::format("remove what begins with '{}'", request.keys(0));
    case Kind::LIST: return fmt::format("list '{}'", request.keys(0));
    default: return fmt::format("wait for '{}'", fmt::join(request.keys(), "', '"));
  }
}

Status StoreCalls::set(std::string_view key, std::string_view value, Deadline deadline) {
  auto request = request_for(Kind::SET, key);
  request.set_value(value.data(), value.size());
  WEFT_TRY(call(std::move(request), deadline));
  return {};
}

Result<std::string> StoreCalls::get(std::string_view key, Deadline deadline) {
  WEFT_ASSIGN(reply, call(request_for(Kind::GET, key), deadline));
  return only_value(std::move(reply));
}

Result<std::vector<std::string>> StoreCalls::wait(const std::vector<std::string>& keys, Deadline deadline) {
  if (keys.empty()) return std::vector<std::string>{};
  wire::StoreRequest request;
  request.set_kind(Kind::WAIT);
  for (const std::string& key : keys)
    request.add_keys(key);
  WEFT_ASSIGN(reply, call(std::move(request), deadline));
  if (static_cast<std::size_t>(reply.values_size()) != keys.size()) {
    return fail(ErrorCode::data_loss,
                fmt::format("store: a reply with {} values, expected {}", reply.values_size(), keys.size()));
  }
  return std::vector<std::string>(reply.values().begin(), reply.values().end());
}

Result<std::int64_t> StoreCalls::add(std::string_view key, std::int64_t delta, Deadline deadline) {
  auto request = request_for(Kind::ADD, key);
  request.set_delta(delta);
  WEFT_ASSIGN(reply, call(std::move(request), deadline));
  return reply.number();
}

Result<std::string> StoreCalls::compare_and_set(std::string_view key, std::optional<std::string_view> expected,
                                                std::string_view desired, Deadline deadline) {
  auto request = request_for(Kind::COMPARE_AND_SET, key);
  request.set_value(desired.data(), desired.size());
  if (expected) request.set_expected(expected->data(), expected->size());
  WEFT_ASSIGN(reply, call(std::move(request), deadline));
  return only_value(std::move(reply));
}

Result<bool> StoreCalls::remove(std::string_view key, Deadline deadline) {
  WEFT_ASSIGN(reply, call(request_for(Kind::REMOVE, key), deadline));
  return reply.number() != 0;
}

Result<std::int64_t> StoreCalls::remove_prefix(std::string_view prefix, Deadline deadline) {
  WEFT_ASSIGN(reply, call(request_for(Kind::REMOVE_PREFIX, prefix), deadline));
  return reply.number();
}

Result<std::vector<std::string>> StoreCalls::list(std::string_view prefix, Deadline deadline) {
  WEFT_ASSIGN(reply, call(request_for(Kind::LIST, prefix), deadline));
  return std::vector<std::string>(reply.values().begin(), reply.values().end());
}

}  // namespace weft::store
