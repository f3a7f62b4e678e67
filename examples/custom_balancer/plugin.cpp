// load_balancer/weighted: what Weft sees of it.
#include <weft/plugin.h>

#include <array>
#include <memory>

#include "weighted.h"

namespace {

using Type = weft::OptionSpec::Type;

constexpr std::array options{
    weft::OptionSpec{
        .key = "speeds",
        .type = Type::string_list,
        .default_value = "[]",
        .help = "How fast replicas are beside the others, as in [\"0=2.5\", \"3=0.5\"]; the others are 1."},
    weft::OptionSpec{
        .key = "measure",
        .type = Type::boolean,
        .default_value = "false",
        .help = "Measure the speeds of replicas that speeds does not name, by how long their tokens take."},
};

weft::Result<std::unique_ptr<weft::LoadBalancer>> create(const weft::PluginOptions& values, weft::HostServices&) {
  WEFT_ASSIGN(speeds,
              weighted::Speeds::read(values.get<std::vector<std::string>>("speeds"), values.get<bool>("measure")));
  return std::make_unique<weighted::Weighted>(std::move(speeds));
}

}  // namespace

WEFT_PLUGIN(weft::LoadBalancer, {.name = "weighted",
                                 .version = "1.0.0",
                                 .summary = "Gives each replica tokens in proportion to its speed.",
                                 .options = options,
                                 .create = &create})
