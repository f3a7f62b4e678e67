// A communicator for tests that throws where it should open a group.
#include <memory>
#include <stdexcept>

#include "weft/communicator.h"
#include "weft/plugin.h"

namespace {

class FaultyCommunicator final : public weft::Communicator {
 public:
  weft::Result<std::unique_ptr<weft::Group>> open(const weft::GroupSpec&) override {
    throw std::runtime_error("it lost its list");
  }
  void* query(std::string_view) override { return nullptr; }
};

weft::Result<std::unique_ptr<weft::Communicator>> create(const weft::PluginOptions&, weft::HostServices&) {
  return std::make_unique<FaultyCommunicator>();
}

}  // namespace

WEFT_PLUGIN(weft::Communicator,
            {.name = "faulty", .version = "0.1.0", .summary = "Throws where it should open a group.", .create = create})
