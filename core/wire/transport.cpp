#include "core/wire/transport.h"

#include <fmt/format.h>
#include <google/protobuf/stubs/logging.h>
#include <zmq.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <utility>

namespace weft::wire {
namespace {

constexpr int send_high_water = 1 << 17;  // messages; credit keeps honest peers far below
constexpr int backlog = 1024;
constexpr Duration default_linger = std::chrono::seconds(1);

int milliseconds(Duration duration) {
  const auto count = std::chrono::ceil<std::chrono::milliseconds>(duration).count();
  return static_cast<int>(std::clamp<std::int64_t>(count, 1, 3'600'000));
}

class Message {
 public:
  Message() { zmq_msg_init(&message_); }
  ~Message() { zmq_msg_close(&message_); }
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;

  bool receive(void* socket) {
    while (zmq_msg_recv(&message_, socket, ZMQ_DONTWAIT) < 0) {
      if (errno != EINTR) return false;
    }
    return true;
  }
  bool more() const { return zmq_msg_more(&message_) != 0; }
  std::string_view bytes() { return {static_cast<const char*>(zmq_msg_data(&message_)), zmq_msg_size(&message_)}; }
  zmq_msg_t* get() { return &message_; }

 private:
  zmq_msg_t message_;
};

void set_option(void* socket, int option, int value) { zmq_setsockopt(socket, option, &value, sizeof value); }

void set_options(void* socket, const std::string& endpoint, const LinkLimits& limits) {
  const auto window = static_cast<int>(std::min<std::uint64_t>(limits.window, 1u << 20));
  set_option(socket, ZMQ_LINGER, milliseconds(default_linger));
  set_option(socket, ZMQ_SNDHWM, send_high_water);
  set_option(socket, ZMQ_RCVHWM, 2 * window + 64);
  set_option(socket, ZMQ_BACKLOG, backlog);
  set_option(socket, ZMQ_HEARTBEAT_IVL, milliseconds(limits.dead_after / 4));
  set_option(socket, ZMQ_HEARTBEAT_TIMEOUT, milliseconds(limits.dead_after / 2));
  set_option(socket, ZMQ_HANDSHAKE_IVL, milliseconds(limits.dead_after));
  if (endpoint.find('[') != std::string::npos) set_option(socket, ZMQ_IPV6, 1);
  // Twice the limit still comes in, so that who sent it can be named; beyond that ZeroMQ ends the connection.
  const auto most = static_cast<std::int64_t>(limits.max_message) * 2;
  zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &most, sizeof most);
}

}  // namespace

struct Transport::Context {
  void* context = zmq_ctx_new();

  Context() = default;
  ~Context() {
    if (context == nullptr) return;
    while (zmq_ctx_term(context) != 0 && errno == EINTR) {
    }
  }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  static std::shared_ptr<Context> shared() {
    static std::mutex mutex;  // guards `current`
    static std::weak_ptr<Context> current;
    // protobuf would print what it thinks of hostile messages to stderr; we log them ourselves.
    static google::protobuf::LogHandler* const quiet = google::protobuf::SetLogHandler(nullptr);
    static_cast<void>(quiet);
    const std::lock_guard lock(mutex);
    auto context = current.lock();
    if (!context) current = context = std::make_shared<Context>();
    return context;
  }
};

Result<std::unique_ptr<Transport>> Transport::open(int type, const std::string& endpoint, const LinkLimits& limits) {
  static std::atomic<std::uint64_t> monitors{0};
  std::unique_ptr<Transport> transport(new Transport);
  const auto exhausted = [&](const char* what) {
    return fail(ErrorCode::resource_exhausted, fmt::format("{}: {}: {}", endpoint, what, zmq_strerror(zmq_errno())));
  };
  transport->context_ = Context::shared();
  if (transport->context_->context == nullptr) return exhausted("no ZeroMQ context");
  transport->max_message_ = limits.max_message;
  transport->routed_ = type == ZMQ_ROUTER;
  transport->socket_ = zmq_socket(transport->context_->context, type);
  if (transport->socket_ == nullptr) return exhausted("no ZeroMQ socket");
  set_options(transport->socket_, endpoint, limits);
  if (transport->routed_) set_option(transport->socket_, ZMQ_ROUTER_MANDATORY, 1);

  const std::string name = fmt::format("inproc://weft-monitor-{}", ++monitors);
  if (zmq_socket_monitor(transport->socket_, name.c_str(), ZMQ_EVENT_DISCONNECTED) != 0) return exhausted("no monitor");
  transport->monitor_ = zmq_socket(transport->context_->context, ZMQ_PAIR);
  if (transport->monitor_ == nullptr) return exhausted("no ZeroMQ socket");
  set_option(transport->monitor_, ZMQ_LINGER, 0);
  set_option(transport->monitor_, ZMQ_RCVHWM, 0);  // a full pipe would stop ZeroMQ's I/O thread
  if (zmq_connect(transport->monitor_, name.c_str()) != 0) return exhausted("no monitor");
  return transport;
}

Result<std::unique_ptr<Transport>> Transport::bind(const std::string& endpoint, const LinkLimits& limits) {
  WEFT_ASSIGN(transport, open(ZMQ_ROUTER, endpoint, limits));
  if (zmq_bind(transport->socket_, endpoint.c_str()) != 0) {
    const int error = zmq_errno();
    const bool taken = error == EADDRINUSE;
    return fail(taken             ? ErrorCode::unavailable
                : error == EACCES ? ErrorCode::permission_denied
                                  : ErrorCode::invalid_argument,
                fmt::format("cannot bind {}: {}{}", endpoint, zmq_strerror(error),
                            taken ? "; port 0 takes any that is free" : ""),
                taken);
  }
  std::array<char, 512> bound{};
  std::size_t size = bound.size();
  if (zmq_getsockopt(transport->socket_, ZMQ_LAST_ENDPOINT, bound.data(), &size) != 0) {
    return fail(ErrorCode::internal, fmt::format("{}: bound, but ZeroMQ does not say where", endpoint));
  }
  transport->endpoint_ = bound.data();
  return transport;
}

Result<std::unique_ptr<Transport>> Transport::connect(const std::string& endpoint, const LinkLimits& limits) {
  WEFT_ASSIGN(transport, open(ZMQ_DEALER, endpoint, limits));
  transport->endpoint_ = endpoint;
  if (zmq_connect(transport->socket_, endpoint.c_str()) != 0) {
    return fail(ErrorCode::invalid_argument, fmt::format("cannot connect to '{}': {}; expected tcp://host:port",
                                                         endpoint, zmq_strerror(zmq_errno())));
  }
  return transport;
}

Transport::~Transport() {
  if (socket_ != nullptr) {
    zmq_socket_monitor(socket_, nullptr, 0);
    zmq_close(socket_);
  }
  if (monitor_ != nullptr) zmq_close(monitor_);
}

void Transport::set_linger(Duration linger) noexcept { set_option(socket_, ZMQ_LINGER, milliseconds(linger)); }

Transport::Sent Transport::send(const std::string& route, const Envelope& envelope) {
  const auto failed = [] { return zmq_errno() == EAGAIN ? Sent::full : Sent::no_peer; };
  const auto attempt = [](auto&& call) {
    int done = call();
    while (done < 0 && zmq_errno() == EINTR)
      done = call();
    return done >= 0;
  };
  if (routed_ && !attempt([&] { return zmq_send(socket_, route.data(), route.size(), ZMQ_DONTWAIT | ZMQ_SNDMORE); })) {
    return failed();
  }
  zmq_msg_t message;
  if (zmq_msg_init_size(&message, envelope.ByteSizeLong()) != 0) return Sent::full;
  envelope.SerializeWithCachedSizesToArray(static_cast<std::uint8_t*>(zmq_msg_data(&message)));
  if (attempt([&] { return zmq_msg_send(&message, socket_, ZMQ_DONTWAIT); })) return Sent::done;
  const Sent why = failed();
  zmq_msg_close(&message);
  return why;
}

std::optional<Arrival> Transport::receive() {
  Message message;
  if (!message.receive(socket_)) return std::nullopt;
  Arrival arrival;
  if (routed_) {
    arrival.route = message.bytes();
    if (!message.more()) {
      arrival.defect = "no frame";
      return arrival;
    }
    if (!message.receive(socket_)) return std::nullopt;
  }
  arrival.descriptor = zmq_msg_get(message.get(), ZMQ_SRCFD);
  const char* address = zmq_msg_gets(message.get(), "Peer-Address");
  arrival.address = address == nullptr ? "an unknown address" : address;
  const std::string_view bytes = message.bytes();
  if (message.more()) {
    arrival.defect = "more than one frame";
  } else if (bytes.size() > max_message_) {
    arrival.defect = "more bytes than the limit";
  } else if (!arrival.envelope.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    arrival.defect = "bytes that are no envelope";
  }
  while (message.more() && message.receive(socket_)) {
  }
  return arrival;
}

std::optional<int> Transport::next_disconnect() {
  // Two frames: 16 bits of event and 32 of value, then the endpoint (zmq_socket_monitor(3)).
  Message event;
  if (!event.receive(monitor_)) return std::nullopt;
  std::int32_t descriptor = -1;
  const std::string_view bytes = event.bytes();
  if (bytes.size() == 6) std::memcpy(&descriptor, bytes.data() + 2, sizeof descriptor);
  while (event.more() && event.receive(monitor_)) {
  }
  return descriptor;
}

void Transport::poll(int wake, Deadline deadline) {
  std::array<zmq_pollitem_t, 3> items{{{.socket = socket_, .fd = 0, .events = ZMQ_POLLIN, .revents = 0},
                                       {.socket = monitor_, .fd = 0, .events = ZMQ_POLLIN, .revents = 0},
                                       {.socket = nullptr, .fd = wake, .events = ZMQ_POLLIN, .revents = 0}}};
  zmq_poll(items.data(), static_cast<int>(items.size()), deadline.poll_milliseconds());
}

}  // namespace weft::wire
