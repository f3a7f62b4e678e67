// A process between the executor and one rank.
//
// The keeper starts the rank, is the subreaper of all that the rank starts, whatever sessions those make for themselves,
// and ends all of it with the rank. It knows of the head's end by the end of its control socket.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "weft/executor.h"

namespace weft::mutant {

// What a keeper tells, one record after another: started or failed; then, after started, code or signal.
struct Record {
  enum class What : std::int32_t { started, failed, code, signal };
  What what = What::failed;
  std::int32_t value = 0;  // pid, errno, exit code, signal
};

class Keeper {
 public:
  // Forks; any thread. An error: no keeper was made. What becomes of the rank is told by next().
  static Result<Keeper> start(const RankSpec& rank, bool die_with_head);
  Keeper(Keeper&& other) noexcept;
  Keeper& operator=(Keeper&& other) noexcept;
  ~Keeper();  // ends the rank, if it lives, and reaps the keeper

  int status() const noexcept { return status_; }  // readable when next() will not block
  Record next() const;
  void terminate() const { command('T'); }  // TERM to the rank's process group
  void kill() const { command('K'); }
  void kill_alone() const { command('A'); }  // breaks a rule: not what else is in its process group
  pid_t pid() const noexcept { return pid_; }

 private:
  Keeper() = default;
  void command(char word) const;

  pid_t pid_ = -1;
  int control_ = -1;
  int status_ = -1;
};

}  // namespace weft::mutant
