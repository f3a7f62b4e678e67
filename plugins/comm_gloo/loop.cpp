#include "plugins/comm_gloo/loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <exception>
#include <utility>

namespace weft::comm_gloo {

HangupWatch::HangupWatch(std::shared_ptr<gloo::transport::tcp::Device> device, Descriptor socket,
                         std::function<void()> gone)
    : device_(std::move(device)), socket_(std::move(socket)), gone_(std::move(gone)) {
  device_->registerDescriptor(socket_.get(), EPOLLRDHUP, this);
}

HangupWatch::~HangupWatch() {
  {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(watching_, false)) return;
  }
  try {
    device_->unregisterDescriptor(socket_.get(), this);
  } catch (const std::exception&) {  // Gloo's loop is broken, nothing calls us any more
  }
  const std::lock_guard lock(mutex_);  // after the last call, if there was one: Gloo waits for that without a lock
}

void HangupWatch::handleEvents(int) {
  const std::lock_guard lock(mutex_);  // the destructor waits here for gone_
  if (!std::exchange(watching_, false)) return;
  device_->unregisterDescriptor(socket_.get(), this);  // on the loop's own thread it waits for nothing
  gone_();
}

LoopStirrer::LoopStirrer(std::shared_ptr<gloo::transport::tcp::Device> device)
    : device_(std::move(device)), ready_(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (ready_.get() >= 0) device_->registerDescriptor(ready_.get(), EPOLLIN, this);
}

LoopStirrer::~LoopStirrer() {
  if (ready_.get() < 0) return;
  try {
    device_->unregisterDescriptor(ready_.get(), this);
  } catch (const std::exception&) {  // the loop merely stays awake
  }
}

}  // namespace weft::comm_gloo
