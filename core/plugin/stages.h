// One file through the stages up to probe. What load() and the children of discover() share.
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
};

// Fills `info` as far as it gets. The library stays loaded whatever comes out. The Refusal's message names
// file and stage.
tl::expected<const weft_plugin_descriptor*, Refusal> run_stages(const StageRun& run, PluginInfo& info);

// The descriptor's probe, with whatever it throws caught.
tl::expected<void, Refusal> run_probe(const weft_plugin_descriptor& descriptor, const std::string& file);

}  // namespace weft
