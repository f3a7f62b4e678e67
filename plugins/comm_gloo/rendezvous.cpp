#include "plugins/comm_gloo/rendezvous.h"

#include <fmt/format.h>
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/store.h>
#include <gloo/transport/device.h>
#include <gloo/transport/pair.h>
#include <sys/socket.h>

#include <algorithm>
#include <exception>
#include <stdexcept>
#include <utility>
#include <vector>

#include "plugins/common/group_spec.h"

namespace weft::comm_gloo {
namespace {

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

// Every rank tells the addresses of its ends of a mesh; few ever need another's (socket.h).
Result<std::vector<Descriptor>> sockets_of(const GroupSpec& spec, const std::string& prefix, const std::string& name,
                                           gloo::Context& mesh) {
  const auto key = [&](std::int32_t rank) { return fmt::format("{}ends/{}/{}", prefix, name, rank); };
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
        return fail(ErrorCode::data_loss,
                    fmt::format("the addresses of {} are damaged", plugins::member_name(spec, peer)));
      return values[0].substr(begin, sizeof(sockaddr_storage));
    };
    auto socket = duplicate_socket(ends[static_cast<std::size_t>(peer)], other_end);
    if (!socket) return fail(annotate(std::move(socket).error(), plugins::member_name(spec, peer)));
    sockets[static_cast<std::size_t>(peer)] = std::move(*socket);
  }
  return sockets;
}

}  // namespace

Result<Mesh> connect(const GroupSpec& spec, const std::string& prefix, const std::string& name,
                     std::shared_ptr<gloo::transport::Device> device) {
  StoreAdapter store(*spec.store, fmt::format("{}mesh/{}/", prefix, name), spec.deadline);
  try {
    auto context = std::make_shared<gloo::rendezvous::Context>(spec.rank, spec.size);
    // Gloo waits five times its time-out for a connection.
    const auto left = std::min<Duration>(spec.deadline.left(), std::chrono::hours(1));
    context->setTimeout(std::max(std::chrono::ceil<std::chrono::milliseconds>(left / 5), std::chrono::milliseconds(1)));
    context->connectFullMesh(store, device);
    WEFT_ASSIGN(sockets, sockets_of(spec, prefix, name, *context));
    return Mesh{std::move(context), std::move(sockets)};
  } catch (const StoreFailure& failure) {
    return fail(annotate(failure.error(), "store"));
  } catch (const std::exception& error) {
    const ErrorCode code = spec.deadline.passed() ? ErrorCode::deadline_exceeded : ErrorCode::unavailable;
    return fail(code, fmt::format("cannot connect to the other ranks: {}", error.what()), true);
  }
}

}  // namespace weft::comm_gloo
