// One rank's end of a group in shared memory (plugins/common/host_group.h).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "plugins/comm_shm/collectives.h"
#include "plugins/comm_shm/mail.h"
#include "plugins/comm_shm/memory.h"
#include "plugins/comm_shm/watcher.h"
#include "plugins/common/host_group.h"
#include "plugins/common/transport.h"

namespace weft::comm_shm {

class ShmTransport final : public plugins::Transport {
 public:
  struct Parts {
    std::optional<Memory> memory;  // nullopt where somebody else owns the segment (tests)
    std::unique_ptr<Peers> peers;
    std::shared_ptr<Watcher> watcher;  // shared by the groups of a communicator; ends with the last. Null in tests
    Bytes one_shot = 0;
  };
  explicit ShmTransport(Parts parts);
  ~ShmTransport() override;

  // Waits until every rank is here. Spins up to `spin` in later waits if there are cores enough for all ranks.
  Outcome enter(Duration spin, Deadline deadline);

  Result<Buffer> allocate(Bytes bytes) override;
  Outcome run(const Operation& operation, Deadline deadline) override { return collectives_.run(operation, deadline); }
  Outcome post(const plugins::Message& message) override { return mail_.post(message); }
  bool holds(std::uint64_t ticket) const override { return !closed_ && mail_.holds(ticket); }
  Outcome wait(std::uint64_t ticket, Deadline deadline) override { return mail_.wait(ticket, deadline); }
  std::optional<bool> done(std::uint64_t ticket) override { return mail_.done(ticket); }
  std::vector<std::uint64_t> unfinished() const override { return mail_.tickets(); }
  std::optional<std::string> reason_of(std::int32_t rank) const override { return parts_.peers->reason_of(rank); }
  void stop(const Error& why) noexcept override { parts_.peers->say_broken(why); }
  void close() noexcept override;

 private:
  std::int32_t cores_of_all() const noexcept;

  Parts parts_;
  Mail mail_;
  Collectives collectives_;
  bool closed_ = false;
  Bytes heap_used_ = 0;
  std::vector<plugins::AlignedMemory> allocated_;  // what the heap had no room for
};

}  // namespace weft::comm_shm
