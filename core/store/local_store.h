// StoreClient in the head's own process.
#pragma once

#include "core/store/store_calls.h"
#include "core/store/store_host.h"

namespace weft::store {

// Any thread; outlived by its host. No call but wait() blocks.
class LocalStore : public StoreCalls {
 public:
  explicit LocalStore(StoreHost& host) : host_(host), source_(host.new_source()) {}

 protected:
  Result<wire::StoreReply> call(wire::StoreRequest request, Deadline deadline) override;

 private:
  StoreHost& host_;
  std::uint64_t source_;
};

}  // namespace weft::store
