// Where the ranks of a group meet, and how they part: keys in the store.
//
//   group/<id>/<plugin>/rank/<i>      who came as rank i, and with what size; compare_and_set refuses a second one
//   group/<id>/<plugin>/broken/<i>    why rank i left a group that broke, for the others' messages
//   group/<id>/<plugin>/left          how many have closed; the last one removes all keys
//
// The folder is the plugin's own, so that no other group's keys begin with it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weft/communicator.h"

namespace weft::plugins {

class Meeting {
 public:
  // `plugin` has its name and the version of its protocol: "gloo/1". Keeps a copy of the spec.
  Meeting(std::string_view plugin, const GroupSpec& spec);

  const std::string& prefix() const noexcept { return prefix_; }

  // Says that this rank is here, with `details` for the others (one line), and waits until all are. Returns their
  // details in rank order. At the deadline: deadline_exceeded, naming the ranks that did not come. already_exists:
  // another process is this rank. invalid_argument: another rank came with another size.
  Result<std::vector<std::string>> meet(const std::string& details) const;
  // Takes this rank's presence back, so that a later open with this id may succeed. For an open that failed.
  void withdraw() const noexcept;

  // What a rank leaves behind for the others when its end of the group breaks, and what one finds. Both give up after a
  // fifth of a second: the reason only makes a message better.
  void leave_reason(const Error& why) const noexcept;
  std::optional<std::string> reason_of(std::int32_t rank) const noexcept;

  // Counts this rank out; the last rank removes the group's keys.
  Status leave(Deadline deadline) const;

 private:
  std::string rank_key(std::int32_t rank) const;
  std::string presence(const std::string& details) const;
  Result<std::string> details_of(std::int32_t rank, std::string_view value) const;
  Error missing_ranks() const;

  const GroupSpec spec_;
  const std::string greeting_;
  const std::string prefix_;
};

}  // namespace weft::plugins
