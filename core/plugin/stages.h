// One file through the stages. What load() and the children of discover() and rehearse() share.
#pragma once

#include <string>

#include "core/plugin/descriptor.h"
#include "core/plugin/plugin_host.h"

namespace weft {

struct StageRun {
  std::string file;    // as found or named; absolute
  std::string kind;    // empty: any
  std::string name;    // empty: any
  std::string sha256;  // the pin; empty: none
  bool strict = false;
  bool probe = true;
  StageObserver at;  // called as each stage begins; never empty
  // For check_in_child: the last stage too. With which values; null: with the defaults.
  bool create = false;
  const PluginOptions* options = nullptr;
  PluginHost::Question question = nullptr;  // asked of the object; null: nothing is
};

inline constexpr const char* create_not_asked_for = "not asked for";

// Fills `info` as far as it gets. The library stays loaded whatever comes out. The Refusal's message names
// file and stage.
tl::expected<const weft_plugin_descriptor*, Refusal> run_stages(const StageRun& run, PluginInfo& info);

// The last stage, for children: makes an object, asks it the question and gives it back. Sets created and answer, or
// create_untried where the defaults were asked for and an option has none. `row.info` is of this descriptor.
tl::expected<void, Refusal> run_create(const weft_plugin_descriptor& descriptor, const StageRun& run,
                                       DiscoveredPlugin& row);

// The descriptor's probe, with whatever it throws caught.
tl::expected<void, Refusal> run_probe(const weft_plugin_descriptor& descriptor, const std::string& file);

}  // namespace weft
