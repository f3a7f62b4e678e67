// A profile says what is different about the place a plugin is proven in. Data only; there are no hooks of code.
//
//   [plugin]
//   kind = "executor"                       # only checked
//   [config]                                # the plugin's options, as in weft.toml's [executor.config]
//   command = ["ip", "netns", "exec", "{node}"]
//   [fixtures]                              # what cases ask for (profile_keys.h): needs = "fixture:nodes"
//   nodes = ["left", "right"]
//   [limits]                                # figures that cases use instead of their own (profile_keys.h)
//   time_scale = 2.0                        # every case's deadline, and every bound on time, times this
//   ranks = 16
//   [setup]
//   command = ["./make-namespaces", "up"]   # once before the first case; its failure ends the run
//   [teardown]
//   command = ["./make-namespaces", "down"] # once at the end, whatever happened
//   [[waiver]]
//   case = "EX-12"
//   reason = "no cgroups in this container"
//   link = "https://..."
//   expires = 2027-01-31                    # from that day on the waiver counts no more
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/conformance/harness/profile_keys.h"
#include "weft/status.h"

namespace weft::conformance {

struct Waiver {
  std::string case_id;
  std::string reason;
  std::string link;
  std::string expires;  // "2027-01-31"; never empty
};

struct Profile {
  std::string path;  // empty: none was given
  std::string kind;
  std::map<std::string, std::string> config;                 // TOML text by key
  std::map<std::string, std::string> config_where;           // "p.toml:7:1" by key
  std::map<std::string, std::vector<std::string>> fixtures;  // a single value is a list of one
  std::map<std::string, double> limits;
  std::vector<std::string> setup;
  std::vector<std::string> teardown;
  std::vector<Waiver> waivers;

  // Null where the profile has no such fixture.
  const std::vector<std::string>* fixture(Fixture fixture) const;
  // The profile's figure, or the suite's own.
  double limit(Limit limit) const;
};

// All problems at once, each with file:line:column, as for weft.toml. `kind`: of the plugin that it is for, which decides
// what [limits] and [fixtures] may hold, unless the profile names one; empty: not known, every kind's are taken.
Result<Profile> load_profile(const std::string& path, const std::string& kind);

}  // namespace weft::conformance
