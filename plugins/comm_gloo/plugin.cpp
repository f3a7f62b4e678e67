// libweft-communicator-gloo.so: groups over TCP on any network, through Gloo's transport.
#include <weft/communicator.h>
#include <weft/plugin.h>

#include "plugins/comm_gloo/communicator.h"

namespace {

constexpr const char* capabilities[] = {"rank_ordered_sums", "several_nodes"};

constexpr weft::OptionSpec options[] = {
    {"interface", weft::OptionSpec::Type::string, "\"\"", nullptr,
     "Network interface to listen on; empty: the one that the address belongs to."},
    {"address", weft::OptionSpec::Type::string, "\"\"", nullptr,
     "Local address to listen on; empty: the plan's address of the node, else the one that the default route "
     "leaves from."},
    {"spin", weft::OptionSpec::Type::duration, "\"100us\"", "0s..1s",
     "How long a waiting rank watches the socket before it sleeps; more answers sooner, less leaves the core "
     "to others."},
    {"gather_bytes", weft::OptionSpec::Type::bytes, "\"32KiB\"", nullptr,
     "All-reduces of more than two ranks beyond this size go as a reduce-scatter and an all-gather."},
};

weft::Result<std::unique_ptr<weft::Communicator>> create(const weft::PluginOptions& given, weft::HostServices& host) {
  weft::comm_gloo::Settings settings;
  settings.interface = given.get<std::string>("interface");
  settings.address = given.get<std::string>("address");
  settings.spin = std::chrono::nanoseconds(given.get<std::int64_t>("spin"));
  settings.gather_bytes = static_cast<weft::Bytes>(given.get<std::int64_t>("gather_bytes"));
  return std::make_unique<weft::comm_gloo::GlooCommunicator>(std::move(settings), host);
}

}  // namespace

WEFT_PLUGIN(weft::Communicator, {.name = "gloo",
                                 .version = "0.1.0",
                                 .summary = "Groups of ranks over TCP, through Gloo's transport.",
                                 .capabilities = capabilities,
                                 .options = options,
                                 .create = create})
