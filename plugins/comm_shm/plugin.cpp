// libweft-communicator-shm.so: groups of ranks of one machine, over shared memory.
#include <weft/communicator.h>
#include <weft/plugin.h>

#include "plugins/comm_shm/communicator.h"
#include "plugins/comm_shm/probe.h"

namespace {

constexpr const char* capabilities[] = {"rank_ordered_sums"};

constexpr weft::OptionSpec options[] = {
    {"memory", weft::OptionSpec::Type::bytes, "\"1MiB\"", nullptr,
     "Shared memory of each rank of a group for what is on its way; longer messages go in pieces."},
    {"allocate_memory", weft::OptionSpec::Type::bytes, "\"64MiB\"", nullptr,
     "Shared memory of each rank of a group for buffers that peers reach without a copy; taken as it is asked for."},
    {"spin", weft::OptionSpec::Type::duration, "\"20us\"", "0s..1ms",
     "How long a waiting rank watches before it sleeps; it sleeps at once where a group has more ranks than cores."},
    {"one_shot_bytes", weft::OptionSpec::Type::bytes, "\"32KiB\"", nullptr,
     "All-reduces up to this size are summed whole by every rank, longer ones by each rank its share."},
};

weft::Result<std::unique_ptr<weft::Communicator>> create(const weft::PluginOptions& given, weft::HostServices& host) {
  const weft::comm_shm::Settings settings{
      .memory = static_cast<weft::Bytes>(given.get<std::int64_t>("memory")),
      .allocate_memory = static_cast<weft::Bytes>(given.get<std::int64_t>("allocate_memory")),
      .spin = std::chrono::nanoseconds(given.get<std::int64_t>("spin")),
      .one_shot = static_cast<weft::Bytes>(given.get<std::int64_t>("one_shot_bytes"))};
  return std::make_unique<weft::comm_shm::ShmCommunicator>(settings, host);
}

}  // namespace

WEFT_PLUGIN(weft::Communicator, {.name = "shm",
                                 .version = "0.1.0",
                                 .summary = "Groups of ranks of one machine, over shared memory.",
                                 .capabilities = capabilities,
                                 .options = options,
                                 .probe = weft::comm_shm::probe,
                                 .create = create})
