#include "core/plugin/descriptor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <set>
#include <span>

#include "core/plugin/kinds.h"
#include "core/plugin/suggest.h"

namespace weft {
namespace {

constexpr std::size_t longest_text = 4096;
constexpr std::uint32_t largest_descriptor = 1u << 16;
constexpr std::size_t most_capabilities = 64;

tl::unexpected<Refusal> refuse(Stage stage, std::string message) {
  return tl::unexpected<Refusal>(Refusal{stage, {ErrorCode::refused, std::move(message)}});
}

// A string of the descriptor; not there, empty or endless ones give nothing.
std::string text_of(const char* text) {
  if (text == nullptr) return {};
  const std::size_t length = ::strnlen(text, longest_text);
  return length == longest_text ? std::string() : std::string(text, length);
}

using Checked = tl::expected<void, Refusal>;

Checked check_size(const weft_plugin_descriptor* descriptor) {
  if (descriptor == nullptr) return refuse(Stage::size, "weft_plugin() returned null; expected a static descriptor");
  if (reinterpret_cast<std::uintptr_t>(descriptor) % alignof(weft_plugin_descriptor) != 0)
    return refuse(Stage::size, "weft_plugin() returned an address that no descriptor can have");
  if (descriptor->struct_size < sizeof(weft_plugin_descriptor) || descriptor->struct_size > largest_descriptor)
    return refuse(Stage::size, fmt::format("its descriptor has {} bytes, expected {} or a little more; build it with "
                                           "WEFT_PLUGIN of this version's <weft/plugin.h>",
                                           descriptor->struct_size, sizeof(weft_plugin_descriptor)));
  if (descriptor->magic != plugin_magic)
    return refuse(Stage::size, fmt::format("its descriptor has magic {:#010x}, expected {:#010x}; build it with "
                                           "WEFT_PLUGIN of <weft/plugin.h>",
                                           descriptor->magic, plugin_magic));
  return {};
}

Checked check_abi(const weft_plugin_descriptor& descriptor) {
  if (descriptor.abi_version == plugin_abi_version) return {};
  return refuse(Stage::abi, fmt::format("its descriptor is of ABI version {}, this weft's is {}; build it against this "
                                        "weft's SDK",
                                        descriptor.abi_version, plugin_abi_version));
}

Checked check_interface(const weft_plugin_descriptor& descriptor, PluginInfo& info) {
  info.kind = text_of(descriptor.kind);
  const PluginKind* const kind = find_kind(info.kind);
  if (kind == nullptr)
    return refuse(Stage::interface,
                  fmt::format("unknown kind '{}'; expected {}", info.kind, fmt::join(kind_names(), ", ")));
  if (descriptor.interface_version == kind->interface_version) return {};
  return refuse(Stage::interface,
                fmt::format("it has version {} of the {} interface, this weft has {}; build it against this weft's SDK",
                            descriptor.interface_version, info.kind, kind->interface_version));
}

// "debug=1 where weft has debug=0", for each part that differs.
std::string fingerprint_difference(std::string_view found, std::string_view own) {
  const auto parts = [](std::string_view text) {
    std::vector<std::string> all;
    while (!text.empty()) {
      const std::size_t end = text.find(';');
      all.emplace_back(text.substr(0, end));
      text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    }
    return all;
  };
  const std::vector<std::string> theirs = parts(found);
  const std::vector<std::string> ours = parts(own);
  if (theirs.size() != ours.size()) return fmt::format("'{}' where weft has '{}'", found, own);
  std::vector<std::string> differences;
  for (std::size_t i = 0; i < ours.size(); ++i)
    if (theirs[i] != ours[i]) differences.push_back(fmt::format("'{}' where weft has '{}'", theirs[i], ours[i]));
  return fmt::format("{}", fmt::join(differences, ", "));
}

Checked check_fingerprint(const weft_plugin_descriptor& descriptor, PluginInfo& info) {
  info.fingerprint = text_of(descriptor.fingerprint);
  if (info.fingerprint == WEFT_FINGERPRINT) return {};
  return refuse(Stage::fingerprint,
                fmt::format("its build differs: {}; build it with the same standard library and settings as weft",
                            fingerprint_difference(info.fingerprint, WEFT_FINGERPRINT)));
}

Checked check_runtime(const weft_plugin_descriptor& descriptor) {
  if (descriptor.runtime == cxx_runtime_address()) return {};
  return refuse(Stage::runtime,
                "it is bound to a second C++ runtime, so that exceptions and memory could not cross safely; link it "
                "against the shared C++ library (no -static-libstdc++)");
}

Checked check_name(const weft_plugin_descriptor& descriptor, const ExpectedName& expected, PluginInfo& info) {
  info.name = text_of(descriptor.name);
  info.version = text_of(descriptor.version);
  info.summary = text_of(descriptor.summary);
  if (!is_plugin_name(info.name))
    return refuse(Stage::name, fmt::format("its name '{}' is not snake_case (a-z, 0-9, _; at most 64)", info.name));
  if (info.version.empty() || info.summary.empty())
    return refuse(Stage::name, "it has no version or no summary; expected both in its definition");
  const std::string id = info.kind + "/" + info.name;
  if (const std::string legal = plugin_file_name(info.kind, info.name); legal != expected.file_name)
    return refuse(Stage::name, fmt::format("it says that it is {}, and its file's name is '{}'; expected '{}'", id,
                                           expected.file_name, legal));
  if ((!expected.kind.empty() && expected.kind != info.kind) || (!expected.name.empty() && expected.name != info.name))
    return refuse(Stage::name, fmt::format("it is {}, asked for was {}/{}", id, expected.kind,
                                           expected.name.empty() ? "..." : expected.name));
  return {};
}

Checked check_capabilities(const weft_plugin_descriptor& descriptor, PluginInfo& info) {
  const std::size_t count = descriptor.capability_count;
  if (count > most_capabilities || (count > 0 && descriptor.capabilities == nullptr))
    return refuse(Stage::capabilities,
                  fmt::format("{} capabilities, expected at most {} and their array", count, most_capabilities));
  const std::vector<std::string>& known = find_kind(info.kind)->capabilities;
  std::set<std::string> seen;
  for (const char* const pointer : std::span(descriptor.capabilities, count)) {
    std::string capability = text_of(pointer);
    if (!is_known_capability(info.kind, capability))
      return refuse(Stage::capabilities,
                    fmt::format("unknown capability '{}'{}; a {} may declare {}, and the author's own as 'x-...'",
                                capability, did_you_mean(capability, known), info.kind, fmt::join(known, ", ")));
    if (!seen.insert(capability).second)
      return refuse(Stage::capabilities, fmt::format("capability '{}' is declared twice", capability));
    info.capabilities.push_back(std::move(capability));
  }
  return {};
}

Checked check_option_table(const weft_plugin_descriptor& descriptor, PluginInfo& info) {
  if (descriptor.option_count > 0 && descriptor.options == nullptr)
    return refuse(Stage::options, fmt::format("{} options are declared, their array is null", descriptor.option_count));
  auto declarations = check_declarations(std::span(descriptor.options, descriptor.option_count));
  if (!declarations) return refuse(Stage::options, declarations.error().message);
  if (descriptor.probe == nullptr || descriptor.create == nullptr || descriptor.destroy == nullptr)
    return refuse(Stage::options, "probe, create or destroy is null; expected all three");
  info.options = *std::move(declarations);
  return {};
}

}  // namespace

bool is_known_capability(std::string_view kind, std::string_view capability) {
  if (capability.size() > 2 && capability.starts_with("x-")) return true;
  const PluginKind* const found = find_kind(kind);
  return found != nullptr &&
         std::find(found->capabilities.begin(), found->capabilities.end(), capability) != found->capabilities.end();
}

tl::expected<void, Refusal> check_descriptor(const weft_plugin_descriptor* descriptor, const ExpectedName& expected,
                                             const StageObserver& at, PluginInfo& info) {
  at(Stage::size);
  if (Checked checked = check_size(descriptor); !checked) return checked;
  at(Stage::abi);
  if (Checked checked = check_abi(*descriptor); !checked) return checked;
  at(Stage::interface);
  if (Checked checked = check_interface(*descriptor, info); !checked) return checked;
  at(Stage::fingerprint);
  if (Checked checked = check_fingerprint(*descriptor, info); !checked) return checked;
  at(Stage::runtime);
  if (Checked checked = check_runtime(*descriptor); !checked) return checked;
  at(Stage::name);
  if (Checked checked = check_name(*descriptor, expected, info); !checked) return checked;
  at(Stage::capabilities);
  if (Checked checked = check_capabilities(*descriptor, info); !checked) return checked;
  at(Stage::options);
  return check_option_table(*descriptor, info);
}

}  // namespace weft
