// A cluster's directory while it runs: lock, endpoint, token (0600), one log a rank. One per cluster name, so several
// clusters live side by side. `weft status` finds a cluster here.
//
//   <run_dir>/lock       held with flock by the head; holds its pid
//   <run_dir>/endpoint   "tcp://127.0.0.1:40123", written when the port is bound
//   <run_dir>/token      what workers and tools must show; mode 0600
//   <run_dir>/logs/rank-<global rank>.<incarnation>.log
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "weft/status.h"

namespace weft {

class RunDirectory {
 public:
  // `configured`: [cluster] run_dir; empty: ${XDG_STATE_HOME:-~/.local/state}/weft/<name>. A directory that another
  // running cluster holds: for the default location a fresh sibling "<name>-2", "-3", ... is taken, for a configured
  // one already_exists names the pid that holds it. Makes the directory (0700; one that others may write to is
  // refused), the lock and a fresh random token; removes logs and endpoint of earlier runs.
  static Result<std::unique_ptr<RunDirectory>> create(const std::string& configured, const std::string& name);
  ~RunDirectory();  // removes endpoint and token, releases the lock; the logs stay
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  const std::string& path() const noexcept { return path_; }
  const std::string& token() const noexcept { return token_; }  // 64 hexadecimal digits
  Status publish_endpoint(const std::string& endpoint);         // written whole, by rename
  std::string log_path(std::int32_t rank, std::int64_t incarnation) const;

 private:
  RunDirectory() = default;
  std::string path_;
  std::string token_;
  int lock_ = -1;
};

// The last `lines` lines of a file, at most 64 KiB of it; empty if it cannot be read.
std::string tail_of_file(const std::string& path, int lines);

}  // namespace weft
