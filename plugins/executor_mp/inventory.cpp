#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fstream>

#include "mp_executor.h"

namespace weft::mp {
namespace {

// The logical CPUs of this process's affinity mask.
std::vector<int> own_cpus() {
  std::vector<int> cpus;
  constexpr std::size_t count = 8192;
  std::vector<unsigned char> mask(CPU_ALLOC_SIZE(count), 0);
  auto* set = reinterpret_cast<cpu_set_t*>(mask.data());
  if (sched_getaffinity(0, mask.size(), set) != 0) return cpus;
  for (std::size_t cpu = 0; cpu < count; ++cpu)
    if (CPU_ISSET_S(cpu, mask.size(), set)) cpus.push_back(static_cast<int>(cpu));
  return cpus;
}

// Cores that a container's quota leaves (cgroup v2, as seen from inside); 0: no limit.
std::size_t quota_cpus() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return 0;
  double amount = 0;
  const auto parsed = std::from_chars(quota.data(), quota.data() + quota.size(), amount);
  return parsed.ec == std::errc() && amount > 0 ? static_cast<std::size_t>(std::max(1.0, std::floor(amount / period)))
                                                : 0;
}

Bytes machine_memory() {
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long page = sysconf(_SC_PAGE_SIZE);
  Bytes total = pages > 0 && page > 0 ? static_cast<Bytes>(pages) * static_cast<Bytes>(page) : 0;
  std::ifstream file("/sys/fs/cgroup/memory.max");
  std::string limit;
  if (file >> limit && limit != "max") {
    Bytes bytes = 0;
    const auto parsed = std::from_chars(limit.data(), limit.data() + limit.size(), bytes);
    if (parsed.ec == std::errc() && bytes > 0 && (total == 0 || bytes < total)) total = bytes;
  }
  return total;
}

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 && name[0] != '\0' ? name.data() : "localhost";
}

}  // namespace

Result<std::vector<int>> parse_cpu_list(std::string_view text) {
  std::vector<int> cpus;
  const auto bad = [&] {
    return fail(ErrorCode::invalid_argument,
                "CPU list '" + std::string(text) + "': expected numbers and ranges, as in \"0-3,8\"");
  };
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    int first = 0;
    auto parsed = std::from_chars(at, end, first);
    int last = first;
    if (parsed.ec == std::errc() && parsed.ptr < end && *parsed.ptr == '-') {
      parsed = std::from_chars(parsed.ptr + 1, end, last);
    }
    if (parsed.ec != std::errc() || first < 0 || last < first || last >= 8192) return bad();
    for (int cpu = first; cpu <= last; ++cpu)
      cpus.push_back(cpu);
    at = parsed.ptr;
    if (at == end) break;
    if (*at != ',' || at + 1 == end) return bad();
    ++at;
  }
  std::sort(cpus.begin(), cpus.end());
  cpus.erase(std::unique(cpus.begin(), cpus.end()), cpus.end());
  return cpus;
}

Result<Inventory> machine_inventory(const MpOptions& options) {
  Node node{.name = options.node_name.empty() ? host_name() : options.node_name,
            .address = "127.0.0.1",
            .cpus = own_cpus(),
            .memory = machine_memory(),
            .devices = {}};
  if (!options.cpus.empty()) {
    for (const int cpu : options.cpus)
      if (std::find(node.cpus.begin(), node.cpus.end(), cpu) == node.cpus.end())
        return fail(ErrorCode::invalid_argument,
                    "option cpus: CPU " + std::to_string(cpu) + " is not one that this process may use");
    node.cpus = options.cpus;
  } else if (const std::size_t quota = quota_cpus(); quota > 0 && quota < node.cpus.size()) {
    node.cpus.resize(quota);
  }
  if (node.cpus.empty()) return fail(ErrorCode::internal, "sched_getaffinity names no CPU");
  return Inventory{.nodes = {std::move(node)}};
}

}  // namespace weft::mp
