#include "plugins/comm_gloo/rendezvous.h"

#include <fmt/format.h>
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/store.h>
#include <gloo/transport/device.h>
#include <gloo/transport/pair.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <exception>
#include <stdexcept>
#include <utility>
#include <vector>

namespace weft::comm_gloo {
namespace {

constexpr std::string_view greeting = "weft-gloo/1 size=";
constexpr Duration courtesy = std::chrono::milliseconds(200);

// Carries an Error of the store through Gloo's code.
class StoreFailure : public std::runtime_error {
 public:
  explicit StoreFailure(Error error) : std::runtime_error(error.message), error_(std::move(error)) {}
  const Error& error() const noexcept { return error_; }

 private:
  Error error_;
};

// Our store as Gloo wants it. Gloo's own time-outs are ignored: the group's deadline counts.
class StoreAdapter final : public gloo::rendezvous::Store {
 public:
  StoreAdapter(StoreClient& store, std::string prefix, Deadline deadline)
      : store_(store), prefix_(std::move(prefix)), deadline_(deadline) {}

  void set(const std::string& key, const std::vector<char>& data) override {
    const Status done = store_.set(prefix_ + key, {data.data(), data.size()}, deadline_);
    if (!done) throw StoreFailure(done.error());
  }
  std::vector<char> get(const std::string& key) override {
    const std::string value = std::move(wait_for({prefix_ + key}).front());
    return {value.begin(), value.end()};
  }
  void wait(const std::vector<std::string>& keys) override {
    std::vector<std::string> full;
    full.reserve(keys.size());
    for (const std::string& key : keys)
      full.push_back(prefix_ + key);
    wait_for(full);
  }
  void wait(const std::vector<std::string>& keys, const std::chrono::milliseconds&) override { wait(keys); }

 private:
  std::vector<std::string> wait_for(const std::vector<std::string>& keys) {
    auto values = store_.wait(keys, deadline_);
    if (!values) throw StoreFailure(values.error());
    return std::move(*values);
  }

  StoreClient& store_;
  const std::string prefix_;
  const Deadline deadline_;
};

std::string rank_key(const GroupSpec& spec, std::int32_t rank) {
  return fmt::format("{}rank/{}", key_prefix(spec), rank);
}

std::string presence(const GroupSpec& spec) {
  static std::atomic<std::uint64_t> opened{0};
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '?';
  return fmt::format("{}{} host={} pid={} open={}", greeting, spec.size, host.data(), ::getpid(), ++opened);
}

Status check_presence(const GroupSpec& spec, std::int32_t rank, std::string_view value) {
  if (!value.starts_with(greeting))
    return fail(ErrorCode::refused, fmt::format("{} came with another communicator or version of it ('{}')",
                                                member_name(spec, rank), value.substr(0, 80)));
  std::int32_t size = 0;
  const std::string_view number = value.substr(greeting.size());
  std::from_chars(number.data(), number.data() + number.size(), size);
  if (size == spec.size) return {};
  return fail(
      ErrorCode::invalid_argument,
      fmt::format("{} came with size {}, this rank ({}) with size {}; all ranks must open a group with the same "
                  "size",
                  member_name(spec, rank), size, member_name(spec, spec.rank), spec.size));
}

// The error of a wait that ended at its deadline: who is not there.
Error missing_ranks(const GroupSpec& spec) {
  const auto keys = spec.store->list(key_prefix(spec) + "rank/", Deadline::in(courtesy * 5));
  std::string names;
  int missing = 0;
  for (std::int32_t rank = 0; rank < spec.size && keys; ++rank) {
    if (std::find(keys->begin(), keys->end(), rank_key(spec, rank)) != keys->end()) continue;
    names += (missing++ == 0 ? "" : ", ") + member_name(spec, rank);
  }
  return Error{ErrorCode::deadline_exceeded,
               fmt::format("{} of {} ranks did not come in time: {}", missing, spec.size,
                           keys ? names : "unknown, the store does not answer"),
               true};
}

// Every rank tells the addresses of its ends of a mesh; few ever need another's (socket.h).
Result<std::vector<Descriptor>> sockets_of(const GroupSpec& spec, const std::string& name, gloo::Context& mesh) {
  const auto key = [&](std::int32_t rank) { return fmt::format("{}ends/{}/{}", key_prefix(spec), name, rank); };
  std::vector<std::vector<char>> ends(static_cast<std::size_t>(spec.size), std::vector<char>(sizeof(sockaddr_storage)));
  std::string all;
  for (std::int32_t peer = 0; peer < spec.size; ++peer) {
    auto& end = ends[static_cast<std::size_t>(peer)];
    if (peer != spec.rank) end = mesh.getPair(peer)->address().bytes();
    end.resize(sizeof(sockaddr_storage));
    all.append(end.data(), end.size());
  }
  WEFT_TRY_CONTEXT(spec.store->set(key(spec.rank), all, spec.deadline), "store");
  std::vector<Descriptor> sockets(ends.size());
  for (std::int32_t peer = 0; peer < spec.size; ++peer) {
    if (peer == spec.rank) continue;
    const auto other_end = [&]() -> Result<std::string> {
      WEFT_ASSIGN_CONTEXT(values, spec.store->wait({key(peer)}, spec.deadline), "store");
      const std::size_t begin = static_cast<std::size_t>(spec.rank) * sizeof(sockaddr_storage);
      if (values[0].size() != all.size())
        return fail(ErrorCode::data_loss, fmt::format("the addresses of {} are damaged", member_name(spec, peer)));
      return values[0].substr(begin, sizeof(sockaddr_storage));
    };
    auto socket = duplicate_socket(ends[static_cast<std::size_t>(peer)], other_end);
    if (!socket) return fail(annotate(std::move(socket).error(), member_name(spec, peer)));
    sockets[static_cast<std::size_t>(peer)] = std::move(*socket);
  }
  return sockets;
}

}  // namespace

std::string key_prefix(const GroupSpec& spec) { return fmt::format("group/{}/gloo/", spec.id); }

std::string member_name(const GroupSpec& spec, std::int32_t rank) {
  const auto index = static_cast<std::size_t>(rank);
  return index < spec.members.size() ? spec.members[index] : fmt::format("rank {}", rank);
}

Status meet(const GroupSpec& spec) {
  const std::string mine = presence(spec);
  WEFT_ASSIGN_CONTEXT(holds, spec.store->compare_and_set(rank_key(spec, spec.rank), std::nullopt, mine, spec.deadline),
                      "store");
  if (holds != mine)
    return fail(
        ErrorCode::already_exists,
        fmt::format("{} is there already ('{}'); each rank opens a group once, and a group that is opened again "
                    "needs a new id",
                    member_name(spec, spec.rank), holds));
  // One key after another, so that a rank with another size is an error at once even if a further rank never
  // comes.
  for (std::int32_t rank = 0; rank < spec.size; ++rank) {
    if (rank == spec.rank) continue;
    const auto value = spec.store->wait({rank_key(spec, rank)}, spec.deadline);
    if (!value) {
      Error error =
          value.error().code == ErrorCode::deadline_exceeded ? missing_ranks(spec) : annotate(value.error(), "store");
      withdraw(spec);
      return fail(std::move(error));
    }
    WEFT_TRY(check_presence(spec, rank, value->front()));
  }
  return {};
}

void withdraw(const GroupSpec& spec) noexcept {
  try {
    static_cast<void>(spec.store->remove(rank_key(spec, spec.rank), Deadline::in(courtesy)));
  } catch (const std::exception&) {  // a key left behind goes when the head retires the group's incarnation
  }
}

Result<Mesh> connect(const GroupSpec& spec, const std::string& name, std::shared_ptr<gloo::transport::Device> device) {
  StoreAdapter store(*spec.store, fmt::format("{}mesh/{}/", key_prefix(spec), name), spec.deadline);
  try {
    auto context = std::make_shared<gloo::rendezvous::Context>(spec.rank, spec.size);
    // Gloo waits five times its time-out for a connection.
    const auto left = std::min<Duration>(spec.deadline.left(), std::chrono::hours(1));
    context->setTimeout(std::max(std::chrono::ceil<std::chrono::milliseconds>(left / 5), std::chrono::milliseconds(1)));
    context->connectFullMesh(store, device);
    WEFT_ASSIGN(sockets, sockets_of(spec, name, *context));
    return Mesh{std::move(context), std::move(sockets)};
  } catch (const StoreFailure& failure) {
    return fail(annotate(failure.error(), "store"));
  } catch (const std::exception& error) {
    const ErrorCode code = spec.deadline.passed() ? ErrorCode::deadline_exceeded : ErrorCode::unavailable;
    return fail(code, fmt::format("cannot connect to the other ranks: {}", error.what()), true);
  }
}

void leave_reason(const GroupSpec& spec, const Error& why) noexcept {
  if (spec.store == nullptr) return;
  try {
    static_cast<void>(spec.store->set(fmt::format("{}broken/{}", key_prefix(spec), spec.rank),
                                      std::string_view(to_string(why)).substr(0, 4096), Deadline::in(courtesy)));
  } catch (const std::exception&) {  // the others say less
  }
}

std::optional<std::string> reason_of(const GroupSpec& spec, std::int32_t rank) noexcept {
  if (spec.store == nullptr) return std::nullopt;
  try {
    auto value = spec.store->get(fmt::format("{}broken/{}", key_prefix(spec), rank), Deadline::in(courtesy));
    if (value) return std::move(*value);
  } catch (const std::exception&) {
  }
  return std::nullopt;
}

Status leave(const GroupSpec& spec, Deadline deadline) {
  if (spec.store == nullptr) return {};
  WEFT_ASSIGN_CONTEXT(gone, spec.store->add(key_prefix(spec) + "left", 1, deadline), "store");
  if (gone < spec.size) return {};
  WEFT_TRY_CONTEXT(spec.store->remove_prefix(key_prefix(spec), deadline), "store");
  return {};
}

}  // namespace weft::comm_gloo
