// The last lines of a rank's log, from the executor that keeps it: where logs lie on another machine, or with a cluster's
// own service, the head cannot read them. It shows them when a replica is lost.
//
// An optional interface, and the pattern of every one: interfaces never grow a virtual, they gain a neighbour.
// - A header of its own, which a plugin that lacks it never includes, and an id whose number goes up with any change of
//   what is below: "weft.<kind>.<what>/<version>". A change is a new id beside the old one; a plugin may answer both.
// - A struct of pure virtuals without a destructor: nobody deletes through it. It belongs to the object that query()
//   was asked of, is the same at each asking, and lives as long as that object.
// - query(interface_id) returns static_cast<ExecutorLogTail*>(...) as void*, and null for ids that it does not know. A host that
//   does not know an id never asks for it, and one that does does without where it gets null.
// - Where the kind has a capability word for it (here log_tails), a plugin that has the interface declares the word, and one
//   that declares the word has the interface: the word can be read without making an object.
//
//   void* query(std::string_view id) override {
//     return id == weft::ExecutorLogTail::interface_id ? static_cast<weft::ExecutorLogTail*>(&tails_) : nullptr;
//   }
#pragma once

#include <cstdint>
#include <string>

#include "weft/executor.h"
#include "weft/status.h"
#include "weft/time.h"

namespace weft {

class ExecutorLogTail {
 public:
  static constexpr const char* interface_id = "weft.executor.log_tail/1";
  static constexpr const char* capability = "log_tails";

  // What the rank last wrote to its standard output and error: whole lines, the latest last, at most `lines` of them and
  // at most 64 KiB (then the first may be cut), without a newline at the end; empty where it wrote nothing.
  // Of a gang that lives, and of one that has ended until its id is launched again (an executor need remember no more
  // than the 64 gangs that ended last). invalid_argument: lines below 1; not_found: no such gang, incarnation or rank,
  // or it has no log; deadline_exceeded or unavailable: it could not be had in time.
  // Any thread, several at once; not from inside a sink's call, which it may have to wait for. After close() it may
  // still answer.
  virtual Result<std::string> log_tail(const GangId& gang, std::int32_t rank, std::int32_t lines,
                                       Deadline deadline) = 0;

 protected:
  ~ExecutorLogTail() = default;
};

}  // namespace weft
