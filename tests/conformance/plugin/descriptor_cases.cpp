// What weft_plugin() returns. The loader refuses most mistakes; these rules are proven again without it, on the raw bytes.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <thread>

#include "core/plugin/descriptor.h"
#include "core/plugin/kinds.h"
#include "tests/conformance/harness/context.h"
#include "tests/conformance/harness/plugin_file.h"
#include "tests/conformance/plugin/bare.h"
#include "tests/conformance/plugin/groups.h"

namespace weft::conformance {
namespace {

const weft_plugin_descriptor& raw_descriptor(Context& context) { return Bare(context).load(); }

std::string text_of(const char* text) { return text == nullptr ? "" : text; }

void size_and_magic(Context& context) {
  const weft_plugin_descriptor& descriptor = raw_descriptor(context);
  context.expect(descriptor.magic == plugin_magic,
                 fmt::format("magic is {:#x}, expected {:#x}", descriptor.magic, plugin_magic));
  context.expect(descriptor.struct_size == sizeof(weft_plugin_descriptor),
                 fmt::format("struct_size is {}, expected {}", descriptor.struct_size, sizeof(weft_plugin_descriptor)));
}

void versions(Context& context) {
  const weft_plugin_descriptor& descriptor = raw_descriptor(context);
  context.expect(descriptor.abi_version == plugin_abi_version,
                 fmt::format("abi_version is {}, expected {}", descriptor.abi_version, plugin_abi_version));
  const PluginKind* const kind = find_kind(text_of(descriptor.kind));
  context.expect(kind != nullptr, fmt::format("kind '{}' is none of the four", text_of(descriptor.kind)));
  context.expect(
      descriptor.interface_version == kind->interface_version,
      fmt::format("interface_version is {}, expected {}", descriptor.interface_version, kind->interface_version));
}

void fingerprint(Context& context) {
  const weft_plugin_descriptor& descriptor = raw_descriptor(context);
  context.expect(text_of(descriptor.fingerprint) == WEFT_FINGERPRINT,
                 fmt::format("fingerprint is '{}', expected '{}'", text_of(descriptor.fingerprint), WEFT_FINGERPRINT));
}

void runtime(Context& context) {
  context.expect(raw_descriptor(context).runtime == cxx_runtime_address(),
                 "the library is bound to a C++ runtime of its own; link libstdc++ dynamically");
}

void names(Context& context) {
  const weft_plugin_descriptor& descriptor = raw_descriptor(context);
  const auto named = name_of_file(context.setup().plugin_file);
  context.expect(named.has_value(), "the file is not called libweft-KIND-NAME.so");
  context.expect(text_of(descriptor.kind) == named->kind && text_of(descriptor.name) == named->name,
                 fmt::format("the descriptor says {}/{}, the file's name {}/{}", text_of(descriptor.kind),
                             text_of(descriptor.name), named->kind, named->name));
}

void summary(Context& context) {
  const weft_plugin_descriptor& descriptor = raw_descriptor(context);
  context.expect(!text_of(descriptor.version).empty(), "version is empty");
  context.expect(!text_of(descriptor.summary).empty(), "summary is empty");
  for (const char* text : {descriptor.version, descriptor.summary})
    context.expect(text_of(text).find_first_of("\n\r") == std::string::npos, fmt::format("'{}' holds line ends", text));
}

void capabilities(Context& context) {
  const weft_plugin_descriptor& descriptor = raw_descriptor(context);
  std::set<std::string> seen;
  for (std::size_t index = 0; index < descriptor.capability_count; ++index) {
    const std::string word = text_of(descriptor.capabilities[index]);
    context.expect(is_known_capability(text_of(descriptor.kind), word),
                   fmt::format("capability '{}' is unknown; an author's own begin with 'x-'", word));
    context.expect(seen.insert(word).second, fmt::format("capability '{}' is declared twice", word));
  }
}

void options(Context& context) {
  const weft_plugin_descriptor& descriptor = raw_descriptor(context);
  const auto checked = check_declarations({descriptor.options, descriptor.option_count});
  context.expect(checked.has_value(), checked ? "" : checked.error().message);
  for (const OptionDeclaration& option : *checked)
    context.expect(option.help.find_first_not_of(" \t") != std::string::npos,
                   fmt::format("option '{}' has no help", option.key));
}

// Every byte and string that a host may read, as text.
std::string image_of(const weft_plugin_descriptor& descriptor) {
  std::string image = fmt::format(
      "{} {} {} {} {} {} {} {} {} {} {} {} {}", fmt::ptr(&descriptor), descriptor.struct_size, descriptor.abi_version,
      descriptor.interface_version, text_of(descriptor.kind), text_of(descriptor.name), text_of(descriptor.version),
      text_of(descriptor.summary), text_of(descriptor.fingerprint), descriptor.runtime, fmt::ptr(descriptor.probe),
      fmt::ptr(descriptor.create), fmt::ptr(descriptor.destroy));
  for (std::size_t index = 0; index < descriptor.capability_count; ++index)
    image += "\n" + text_of(descriptor.capabilities[index]);
  for (std::size_t index = 0; index < descriptor.option_count; ++index) {
    const OptionSpec& option = descriptor.options[index];
    image += fmt::format("\n{} {} {} {} {}", text_of(option.key), static_cast<int>(option.type),
                         text_of(option.default_value), text_of(option.range), text_of(option.help));
  }
  return image;
}

void same_every_time(Context& context) {
  const std::string first = image_of(raw_descriptor(context));
  context.expect(image_of(raw_descriptor(context)) == first,
                 "a second call of weft_plugin() returned another descriptor");
  context.run_threads(4, [&](int) {
    context.expect(image_of(raw_descriptor(context)) == first,
                   "weft_plugin() returned another descriptor in another thread");
  });
}

void functions(Context& context) {
  const weft_plugin_descriptor& descriptor = raw_descriptor(context);
  context.expect(descriptor.probe != nullptr, "probe is null");
  context.expect(descriptor.create != nullptr, "create is null");
  context.expect(descriptor.destroy != nullptr, "destroy is null");
}

}  // namespace

std::vector<Case> descriptor_cases() {
  return {
      {"PL-01", Level::must, "", "1", "the descriptor has this ABI's size and magic",
       "They are read first: nothing else may be read where they are wrong.", size_and_magic},
      {"PL-02", Level::must, "", "1", "the descriptor names the ABI's and its interface's version",
       "A plugin of another version has another table of functions.", versions},
      {"PL-03", Level::must, "", "1", "the fingerprint is the host's",
       "Strings, vectors and results cross the boundary: both sides must lay them out alike.", fingerprint},
      {"PL-04", Level::must, "", "1", "plugin and host share one C++ runtime",
       "With two of them an exception or a freed string ends the process.", runtime},
      {"PL-05", Level::must, "", "1", "kind and name are those of the file's name",
       "The host finds a plugin by its file; what it finds must be what was asked for.", names},
      {"PL-06", Level::must, "", "1", "version and summary say something, each on one line",
       "`weft plugins list` shows them, and a report without a version is of no use.", summary},
      {"PL-07", Level::must, "", "1", "capabilities are known words, none twice",
       "Hosts choose by them; a misspelt one is a promise that nobody sees.", capabilities},
      {"PL-08", Level::must, "", "1", "every option has help, and a default within its range",
       "The host checks the user's values by the declaration before the plugin runs.", options},
      {"PL-09", Level::must, "", "1", "weft_plugin() gives the same descriptor at every call and in every thread",
       "The host keeps pointers into it.", same_every_time},
      {"PL-10", Level::must, "", "1", "probe, create and destroy are there", "The host calls all three without asking.",
       functions},
  };
}

}  // namespace weft::conformance
