// One ZeroMQ socket with its monitor: the only place that knows ZeroMQ. Envelopes go out and come in; nothing
// blocks but poll(). One thread at a time, after bind() or connect().
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/wire/link.h"

namespace weft::wire {

struct Arrival {
  std::string route;    // of the peer's connection; empty on a dialer
  std::string address;  // of the peer, for messages
  int descriptor = -1;  // of the peer's connection; what next_disconnect() names
  Envelope envelope;
  std::string_view defect;  // not empty: what is wrong with it ("more than one frame"); then there is no envelope
};

class Transport {
 public:
  enum class Sent { done, no_peer, full };

  // `endpoint` as ZeroMQ spells it. unavailable: it cannot be bound.
  static Result<std::unique_ptr<Transport>> bind(const std::string& endpoint, const LinkLimits& limits);
  static Result<std::unique_ptr<Transport>> connect(const std::string& endpoint, const LinkLimits& limits);
  ~Transport();  // what is not sent is given `linger`, in the background
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  const std::string& endpoint() const noexcept { return endpoint_; }
  Sent send(const std::string& route, const Envelope& envelope);
  std::optional<Arrival> receive();
  // The descriptor of a connection that has ended. All that came over it can be received by then.
  std::optional<int> next_disconnect();
  // Returns when something can be received, a connection has ended, `wake` is readable or the time has come.
  void poll(int wake, Deadline deadline);
  void set_linger(Duration linger) noexcept;

 private:
  struct Context;
  Transport() = default;
  static Result<std::unique_ptr<Transport>> open(int type, const std::string& endpoint, const LinkLimits& limits);

  // Shared by all transports of the process: one I/O thread serves them.
  std::shared_ptr<Context> context_;
  void* socket_ = nullptr;
  void* monitor_ = nullptr;
  bool routed_ = false;
  std::size_t max_message_ = 0;
  std::string endpoint_;
};

}  // namespace weft::wire
