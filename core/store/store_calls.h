// The eight calls of StoreClient, each as one StoreRequest and one StoreReply; how these travel is the
// subclass's.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/wire/messages.pb.h"
#include "weft/store_client.h"

namespace weft::store {

class StoreCalls : public StoreClient {
 public:
  Status set(std::string_view key, std::string_view value, Deadline deadline) override;
  Result<std::string> get(std::string_view key, Deadline deadline) override;
  Result<std::vector<std::string>> wait(const std::vector<std::string>& keys, Deadline deadline) override;
  Result<std::int64_t> add(std::string_view key, std::int64_t delta, Deadline deadline) override;
  Result<std::string> compare_and_set(std::string_view key, std::optional<std::string_view> expected,
                                      std::string_view desired, Deadline deadline) override;
  Result<bool> remove(std::string_view key, Deadline deadline) override;
  Result<std::int64_t> remove_prefix(std::string_view prefix, Deadline deadline) override;
  Result<std::vector<std::string>> list(std::string_view prefix, Deadline deadline) override;

 protected:
  // Any thread. The reply has no error. Blocks at most until the deadline; a WAIT's timeout_ms is set here.
  virtual Result<wire::StoreReply> call(wire::StoreRequest request, Deadline deadline) = 0;
};

// What is left until the deadline in whole milliseconds, rounded up; the greatest number for never().
std::int64_t milliseconds_left(Deadline deadline) noexcept;

// For messages: "wait for 'a', 'b'", "set 'a'".
std::string describe(const wire::StoreRequest& request);

}  // namespace weft::store
