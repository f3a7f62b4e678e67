// How the ranks of a group come by their shared memory.
//
// Rank 0 makes the memory and listens on a Unix socket with a random name; that name and a token go into the store with
// its presence (plugins/common/meeting.h). The others connect, both sides look at the other's user, and each rank shows
// the token and hands over a pidfd of its own process. When all are there rank 0 gives everybody the memory and all
// pidfds. The socket and its name are gone before open() returns.
#pragma once

#include <string>
#include <vector>

#include "plugins/comm_shm/handshake.h"
#include "plugins/comm_shm/memory.h"
#include "plugins/comm_shm/segment.h"
#include "plugins/common/descriptor.h"
#include "plugins/common/meeting.h"

namespace weft::comm_shm {

struct Assembled {
  Layout layout;
  Memory memory;
  std::vector<plugins::Descriptor> processes;  // a pidfd of each rank's, by rank
};

// Waits at most until spec.deadline; `spec` outlives it.
class Assembly {
 public:
  // Before the ranks meet: rank 0 makes the memory and listens. `memory` and `heap`: see Layout.
  static Result<Assembly> prepare(const GroupSpec& spec, Bytes memory, Bytes heap);
  // What the others must know.
  const std::string& details() const noexcept { return details_; }

  // After they have met: `all` are everybody's details. failed_precondition: a rank is on another machine, in another
  // network namespace, or another user's. `meeting` tells why rank 0 gave up.
  Result<Assembled> gather(const std::vector<std::string>& all, const plugins::Meeting& meeting);

 private:
  Assembly(const GroupSpec& spec, plugins::Descriptor own) : spec_(&spec), own_(std::move(own)) {}
  Status check_places(const std::vector<std::string>& all) const;
  Result<Assembled> host();
  Result<Assembled> join(const std::string& host_details, const plugins::Meeting& meeting);

  const GroupSpec* spec_;
  plugins::Descriptor own_;  // a pidfd of this process
  std::string details_;
  // Rank 0's:
  Bytes memory_ = 0;
  Bytes heap_ = 0;
  Layout layout_;
  Token token_{};
  plugins::Descriptor file_;
  plugins::Descriptor listener_;
};

}  // namespace weft::comm_shm
