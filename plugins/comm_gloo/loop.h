// Handlers of our own on the thread of a Gloo device: its loop serves any descriptor.
#pragma once

#include <gloo/transport/tcp/device.h>

#include <functional>
#include <memory>
#include <mutex>

#include "plugins/comm_gloo/socket.h"

namespace weft::comm_gloo {

// Calls `gone` once, on the loop's thread, when the other side of a connection closes it. Gloo tells that to those who
// wait for a receive, but not to those whose send is half written.
class HangupWatch final : public gloo::transport::tcp::Handler {
 public:
  // `socket` is a duplicate of the connection's descriptor.
  HangupWatch(std::shared_ptr<gloo::transport::tcp::Device> device, Descriptor socket, std::function<void()> gone);
  ~HangupWatch() override;  // `gone` is not called any more after that
  HangupWatch(const HangupWatch&) = delete;
  HangupWatch& operator=(const HangupWatch&) = delete;

 private:
  void handleEvents(int events) override;

  std::shared_ptr<gloo::transport::tcp::Device> device_;
  Descriptor socket_;
  std::function<void()> gone_;
  std::mutex mutex_;  // guards watching_
  bool watching_ = true;
};

// While it lives the device's loop does not sleep. Gloo waits for the loop's next turn whenever it gives up
// a descriptor, and an idle loop turns once in 10 ms: with this, opening and closing a group take that much less.
class LoopStirrer final : public gloo::transport::tcp::Handler {
 public:
  explicit LoopStirrer(std::shared_ptr<gloo::transport::tcp::Device> device);
  ~LoopStirrer() override;
  LoopStirrer(const LoopStirrer&) = delete;
  LoopStirrer& operator=(const LoopStirrer&) = delete;

 private:
  void handleEvents(int) override {}

  std::shared_ptr<gloo::transport::tcp::Device> device_;
  Descriptor ready_;
};

}  // namespace weft::comm_gloo
