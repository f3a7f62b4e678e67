// Executor: how worker processes come to life, and when they die. It knows nothing of models, and is never on the
// token path.
//
// A gang is the ranks of one replica: it starts whole or not at all. The caller names gang and incarnation.
//
// Threads: every call may come from any thread; inventory, launch, stop and query also from inside a sink's call.
// Sink calls come from one thread of the executor, one at a time, with no lock held; the sink outlives the gang.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "weft/buffer.h"
#include "weft/status.h"
#include "weft/time.h"

namespace weft {

// One accelerator of a node.
struct NodeDevice {
  std::string kind;  // "cuda"
  std::int32_t index = 0;
  Bytes memory = 0;  // bytes; 0: unknown
};

// One machine, or network namespace, that ranks can be placed on.
struct Node {
  std::string name;       // what a node constraint names
  std::string address;    // how other nodes reach it
  std::vector<int> cpus;  // logical CPUs that ranks may use there
  Bytes memory = 0;       // bytes that ranks may use there; 0: unknown
  std::vector<NodeDevice> devices;
};

struct Inventory {
  std::vector<Node> nodes;  // in a stable order; never empty on success
};

// (gang, incarnation) names one launch. `id` is the caller's, a file-name-safe word such as "replica-0".
struct GangId {
  std::string id;
  std::int64_t incarnation = 0;
  friend bool operator==(const GangId& a, const GangId& b) noexcept {
    return a.id == b.id && a.incarnation == b.incarnation;
  }
};

// One process to start. Everything arrives verbatim: argv and env are not passed through a shell.
struct RankSpec {
  std::int32_t rank = 0;                                 // global rank; unique within the gang
  std::vector<std::string> argv;                         // argv[0] is the program's path
  std::vector<std::pair<std::string, std::string>> env;  // added to the executor's own environment
  std::string node;                                      // a Node's name; empty: the executor chooses
  std::vector<int> cpus;                                 // CPU affinity; empty: none
  std::vector<NodeDevice> devices;                       // reserved for this rank
  Bytes memory = 0;                                      // what it is expected to use; 0: unknown
  std::string log_path;                                  // where stdout and stderr are appended; empty: discarded
};

struct GangSpec {
  GangId gang;
  std::vector<RankSpec> ranks;  // at least one
  // Workers must not outlive the head: the executor arms what it has for that (a parent-death signal). False when the
  // workers are to survive it and rejoin (`timeouts.rejoin`).
  bool die_with_head = true;
};

struct Placement {
  std::int32_t rank = 0;
  std::string node;
  std::string address;
  std::int64_t pid = 0;  // on its node; 0: unknown
  std::vector<NodeDevice> devices;
};

// How a process ended.
struct Exit {
  enum class Cause : std::uint8_t { code = 0, signal = 1, node_lost = 2, unknown = 3, never_started = 4 };
  Cause cause = Cause::unknown;
  std::int32_t value = 0;  // the exit code or the signal's number
  std::string detail;      // for a human; may be empty
};

// What the executor tells its caller. Each rank of a launched gang gets exactly one on_exit, whatever happens; on_placed
// comes at most once and before any on_exit. A gang that cannot start whole gets on_exit(never_started) for every rank,
// and nothing of it is left running.
class GangSink {
 public:
  virtual ~GangSink() = default;
  virtual void on_pending(const GangId& gang, std::string_view why) = 0;  // not placed yet; may repeat
  virtual void on_placed(const GangId& gang, const std::vector<Placement>& placements) = 0;
  virtual void on_exit(const GangId& gang, std::int32_t rank, const Exit& exit) = 0;
};

class Executor {
 public:
  static constexpr const char* plugin_kind = "executor";
  static constexpr std::uint32_t interface_version = 1;

  virtual ~Executor() = default;

  virtual Result<Inventory> inventory(Deadline deadline) = 0;
  // Checks the spec and returns at once; what follows comes through the sink.
  // invalid_argument: a spec that can never start; already_exists: this gang lives (in any incarnation).
  virtual Status launch(const GangSpec& spec, GangSink& sink) = 0;
  // At any stage, pending too: TERM to each rank's process group, KILL after `grace`, children of children included.
  // Returns at once; on_exit tells the end. not_found: no such gang or incarnation. Calling it again is legal, and a
  // shorter grace counts.
  virtual Status stop(const GangId& gang, Duration grace) = 0;
  // Kills every gang, returns when all have ended and no sink call is under way or will come. Idempotent.
  virtual Status close() = 0;
  // Optional interfaces, by id; null where it lacks one.
  virtual void* query(std::string_view interface_id) = 0;
};

}  // namespace weft
