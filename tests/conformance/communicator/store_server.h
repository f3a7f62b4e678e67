// The rendezvous store of a case: core/store's own, in a process that does nothing else, so that ranks may be forked,
// killed and stopped at any moment without taking it along.
#pragma once

#include <sys/types.h>

#include <string>

#include "core/store/store_calls.h"

namespace weft::conformance {

// Made before the case loads a plugin or starts a thread: it forks. Ends its process when it goes, and dies with the case.
class StoreServer {
 public:
  StoreServer();
  ~StoreServer();
  StoreServer(const StoreServer&) = delete;
  StoreServer& operator=(const StoreServer&) = delete;

  // The abstract name of the socket that it listens on.
  const std::string& address() const noexcept { return address_; }

 private:
  std::string address_;
  pid_t process_ = -1;
};

// A client. Any thread, any process: each call is a connection of its own, so that nothing is held between calls that a
// case which counts descriptors would see.
class ServedStore final : public store::StoreCalls {
 public:
  explicit ServedStore(std::string address) : address_(std::move(address)) {}

 protected:
  Result<wire::StoreReply> call(wire::StoreRequest request, Deadline deadline) override;

 private:
  const std::string address_;
};

}  // namespace weft::conformance
