// A HostServices for unit tests: logs nowhere, real clock, no store.
#pragma once

#include <span>

#include "weft/host.h"

namespace weft::test {

class NullHost : public HostServices {
 public:
  void log(LogLevel, std::string_view) noexcept override {}
  bool log_enabled(LogLevel) const noexcept override { return false; }
  Time now() const noexcept override { return Clock::now(); }
  void counter_add(std::string_view, double) noexcept override {}
  void gauge_set(std::string_view, double) noexcept override {}
  void observe(std::string_view, double) noexcept override {}
  StoreClient* store() noexcept override { return store_client; }
  std::span<const int> cpus() const noexcept override { return {}; }
  void* query(std::string_view) noexcept override { return nullptr; }

  StoreClient* store_client = nullptr;
};

}  // namespace weft::test
