// The plugin's library without the loader between: so that a case can look before and after each step.
#pragma once

#include <string>
#include <vector>

#include "tests/conformance/harness/context.h"
#include "weft/plugin.h"

namespace weft::conformance {

class Bare {
 public:
  explicit Bare(Context& context) : context_(context) {}

  // dlopen and weft_plugin(); fails the case where there is none.
  const weft_plugin_descriptor& load();
  // 0: it can work here.
  int probe(std::string* reason = nullptr);
  // With the profile's options; fails the case where it makes none.
  void* create() { return create(context_.options()); }
  void* create(const PluginOptions& options);
  // Null, and *error as the plugin left it, where it makes none.
  void* try_create(const PluginOptions& options, Error* error);
  // The interface's query().
  void* query(void* object, std::string_view interface_id);
  // A little of what its kind is for (work.h).
  void work(void* object);
  void destroy(void* object);
  // Load, probe, create, ask for something unknown, destroy.
  void whole_life() { live(false); }
  // The same with work between.
  void working_life() { live(true); }

 private:
  void live(bool at_work);

  Context& context_;
  const weft_plugin_descriptor* descriptor_ = nullptr;
};

}  // namespace weft::conformance
