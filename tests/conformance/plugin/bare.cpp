#include "tests/conformance/plugin/bare.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <array>

#include "tests/conformance/plugin/work.h"
#include "weft/communicator.h"
#include "weft/device.h"
#include "weft/executor.h"
#include "weft/load_balancer.h"

namespace weft::conformance {

const weft_plugin_descriptor& Bare::load() {
  void* const library = ::dlopen(context_.setup().plugin_file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) context_.fail(fmt::format("dlopen: {}", ::dlerror()));
  const auto function = reinterpret_cast<weft_plugin_function>(::dlsym(library, plugin_symbol));
  context_.expect(function != nullptr, "weft_plugin is not exported");
  descriptor_ = function();
  context_.expect(descriptor_ != nullptr, "weft_plugin() returned null");
  return *descriptor_;
}

int Bare::probe(std::string* reason) {
  std::array<char, 512> text{};
  const int answer = load().probe(text.data(), text.size());
  if (reason != nullptr) reason->assign(text.data(), ::strnlen(text.data(), text.size()));
  return answer;
}

void* Bare::try_create(const PluginOptions& options, Error* error) {
  return load().create(&options, &context_.host(), error);
}

void* Bare::create(const PluginOptions& options) {
  Error error;
  void* const object = try_create(options, &error);
  if (object == nullptr) context_.fail("create: " + weft::to_string(error));
  return object;
}

void* Bare::query(void* object, std::string_view interface_id) {
  const std::string_view kind = load().kind;
  if (kind == Executor::plugin_kind) return static_cast<Executor*>(object)->query(interface_id);
  if (kind == Communicator::plugin_kind) return static_cast<Communicator*>(object)->query(interface_id);
  if (kind == LoadBalancer::plugin_kind) return static_cast<LoadBalancer*>(object)->query(interface_id);
  return static_cast<Device*>(object)->query(interface_id);
}

void Bare::destroy(void* object) { load().destroy(object); }

void Bare::work(void* object) { put_to_work(context_, load().kind, object); }

void Bare::live(bool at_work) {
  load();
  probe();
  void* const object = create();
  query(object, "weft.test/nothing");
  if (at_work) work(object);
  destroy(object);
}

}  // namespace weft::conformance
