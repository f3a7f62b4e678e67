// What makes a shared library a plugin of Weft: one C function that returns a static descriptor. Behind the descriptor
// are the C++ interfaces of executor.h, communicator.h, load_balancer.h and device.h.
//
// Trust: a plugin runs with all rights of the process that loads it. What makes C++ across the boundary safe, and no
// more, is the fingerprint: both sides have the same standard library, ABI tag, debug mode and tl::expected.
//
//   #include <weft/executor.h>
//   #include <weft/plugin.h>
//   WEFT_PLUGIN(weft::Executor, {.name = "mine", .version = "1.0.0", .summary = "starts ranks my way",
//                                .options = my_options, .probe = my_probe, .create = my_create})
//
// The file is libweft-<kind>-<name>.so, never unloaded. create may be called for an object that is given back at once.
// Threads: probe and create are called by one thread, create perhaps several times; destroy by any thread, once an object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "weft/host.h"
#include "weft/status.h"

#define WEFT_STRINGIFY_INNER(x) #x
#define WEFT_STRINGIFY(x) WEFT_STRINGIFY_INNER(x)

#if defined(_GLIBCXX_USE_CXX11_ABI)
#define WEFT_FINGERPRINT_STL "libstdc++/cxx11=" WEFT_STRINGIFY(_GLIBCXX_USE_CXX11_ABI)
#elif defined(_LIBCPP_ABI_VERSION)
#define WEFT_FINGERPRINT_STL "libc++/abi=" WEFT_STRINGIFY(_LIBCPP_ABI_VERSION)
#else
#define WEFT_FINGERPRINT_STL "unknown"
#endif
#if defined(_GLIBCXX_DEBUG)
#define WEFT_FINGERPRINT_DEBUG "1"
#else
#define WEFT_FINGERPRINT_DEBUG "0"
#endif
#if defined(__cpp_exceptions)
#define WEFT_FINGERPRINT_EXCEPTIONS "1"
#else
#define WEFT_FINGERPRINT_EXCEPTIONS "0"
#endif
// Everything that must be equal on both sides, and nothing that need not be.
#define WEFT_FINGERPRINT                                                                                      \
  "pointer=" WEFT_STRINGIFY(__SIZEOF_POINTER__) ";stl=" WEFT_FINGERPRINT_STL ";debug=" WEFT_FINGERPRINT_DEBUG \
                                                ";exceptions=" WEFT_FINGERPRINT_EXCEPTIONS                    \
                                                ";expected=" WEFT_STRINGIFY(TL_EXPECTED_VERSION_MAJOR)

namespace weft {

inline constexpr std::uint32_t plugin_magic = 0x74666577;  // "weft", little endian
inline constexpr std::uint32_t plugin_abi_version = 1;
inline constexpr const char* plugin_symbol = "weft_plugin";

// An option that a plugin declares. The host checks the user's values against it before the plugin runs.
struct OptionSpec {
  enum class Type : std::uint32_t {
    boolean = 0,
    integer = 1,
    number = 2,
    string = 3,
    duration = 4,
    bytes = 5,
    string_list = 6
  };
  const char* key;  // snake_case
  Type type;
  const char*
      default_value;  // as TOML text: "true", "3", "\"5s\"" (durations and sizes too); null: the option is required
  const char* range;  // "1..64" for numbers, "a|b|c" for strings; null: any
  const char* help;   // one sentence, never empty
};

// std::int64_t holds integers, durations (nanoseconds) and bytes.
using OptionValue = std::variant<bool, std::int64_t, double, std::string, std::vector<std::string>>;

// The values create() gets: every declared option, the user's or the default. Asking for an undeclared key or another
// type is a bug of the plugin and gives that type's zero.
struct PluginOptions {
  std::vector<std::pair<std::string, OptionValue>> values;

  template <class T>
  T get(std::string_view key) const {
    for (const auto& [name, value] : values)
      if (name == key)
        if (const T* typed = std::get_if<T>(&value)) return *typed;
    return T{};
  }
};

// The C boundary. Strings are static and null-terminated; arrays are static. The host reads `struct_size` and `magic`
// first and nothing beyond what the size covers.
extern "C" {
struct weft_plugin_descriptor {
  std::uint32_t struct_size;
  std::uint32_t magic;
  std::uint32_t abi_version;
  std::uint32_t interface_version;
  const char* kind;  // "executor", "communicator", "load_balancer", "device"
  const char* name;
  const char* version;
  const char* summary;      // one sentence
  const char* fingerprint;  // WEFT_FINGERPRINT of the plugin's build
  const void* runtime;      // the address of the C++ runtime the plugin is bound to
  const char* const* capabilities;
  std::size_t capability_count;
  const OptionSpec* options;
  std::size_t option_count;
  // Whether the plugin can work here. Makes nothing that outlives the call. 0: yes; else no, and `reason` (a buffer of
  // `reason_size` bytes) says why.
  int (*probe)(char* reason, std::size_t reason_size);
  // An object of the kind's interface, or null with *error filled. `host` outlives the object.
  void* (*create)(const PluginOptions* options, HostServices* host, Error* error);
  void (*destroy)(void* object);
};
using weft_plugin_function = const weft_plugin_descriptor* (*)();
}

// The address that stands for the C++ runtime: the host's and the plugin's must be equal.
inline const void* cxx_runtime_address() noexcept {
  using Function = void (*)();
  const Function function = &std::terminate;
  return reinterpret_cast<const void*>(function);
}

// What an author writes; WEFT_PLUGIN makes the descriptor of it.
template <class Interface>
struct PluginDefinition {
  const char* name;
  const char* version;
  const char* summary;
  std::span<const char* const> capabilities = {};
  std::span<const OptionSpec> options = {};
  Status (*probe)() = nullptr;  // null: works everywhere
  Result<std::unique_ptr<Interface>> (*create)(const PluginOptions& options, HostServices& host);
};

namespace plugin_detail {

inline Error from_exception() noexcept {
  try {
    throw;
  } catch (const std::exception& error) {
    return Error{ErrorCode::internal, std::string("exception: ") + error.what()};
  } catch (...) {
    return Error{ErrorCode::internal, "an exception of unknown type"};
  }
}

// The C functions of one definition: nothing throws out of them.
template <class Interface, const PluginDefinition<Interface>& definition>
struct Functions {
  static int probe(char* reason, std::size_t reason_size) {
    if (definition.probe == nullptr) return 0;
    Error error;
    try {
      const Status status = definition.probe();
      if (status) return 0;
      error = status.error();
    } catch (...) {
      error = from_exception();
    }
    std::snprintf(reason, reason_size, "%s", error.message.c_str());
    return 1;
  }
  static void* create(const PluginOptions* options, HostServices* host, Error* error) {
    try {
      auto made = definition.create(*options, *host);
      if (made) return static_cast<Interface*>(made->release());
      *error = std::move(made).error();
    } catch (...) {
      *error = from_exception();
    }
    return nullptr;
  }
  static void destroy(void* object) {
    try {
      delete static_cast<Interface*>(object);
    } catch (...) {  // a destructor that throws has nobody to tell
    }
  }
};

template <class Interface, const PluginDefinition<Interface>& definition>
const weft_plugin_descriptor* descriptor() {
  static const weft_plugin_descriptor made = {
      sizeof(weft_plugin_descriptor),
      plugin_magic,
      plugin_abi_version,
      Interface::interface_version,
      Interface::plugin_kind,
      definition.name,
      definition.version,
      definition.summary,
      WEFT_FINGERPRINT,
      cxx_runtime_address(),
      definition.capabilities.data(),
      definition.capabilities.size(),
      definition.options.data(),
      definition.options.size(),
      &Functions<Interface, definition>::probe,
      &Functions<Interface, definition>::create,
      &Functions<Interface, definition>::destroy,
  };
  return &made;
}

}  // namespace plugin_detail
}  // namespace weft

// Once in a library, at namespace scope outside any namespace. The second argument is a braced list of designated
// initialisers of PluginDefinition.
#define WEFT_PLUGIN(Interface, ...)                                                                       \
  namespace {                                                                                             \
  const ::weft::PluginDefinition<Interface> weft_plugin_definition = __VA_ARGS__;                         \
  }                                                                                                       \
  extern "C" __attribute__((visibility("default"))) const ::weft::weft_plugin_descriptor* weft_plugin() { \
    return ::weft::plugin_detail::descriptor<Interface, weft_plugin_definition>();                        \
  }
