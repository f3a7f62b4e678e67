// A communicator that breaks one rule of communicators, named by WEFT_MUTANT; unset, it breaks none.
#include <weft/communicator.h>
#include <weft/plugin.h>

#include <memory>
#include <mutex>

#include "tests/conformance/mutants/communicator/group.h"
#include "tests/conformance/mutants/communicator/process.h"
#include "tests/conformance/mutants/communicator/switches.h"

namespace mutant {
namespace {

constexpr const char* capabilities[] = {"rank_ordered_sums", "several_nodes"};

weft::Status check(const weft::GroupSpec& spec) {
  const auto invalid = [](const char* what) { return weft::fail(weft::ErrorCode::invalid_argument, what); };
  if (spec.id.empty() || spec.id.size() > 512) return invalid("mutant: an id has 1 to 512 characters");
  if (spec.size < 1) return invalid("mutant: size must be at least 1");
  if (spec.rank < 0 || spec.rank >= spec.size) {
    if (!breaks("any_rank")) return invalid("mutant: rank outside the size");
  }
  if (!spec.members.empty() && spec.members.size() != static_cast<std::size_t>(spec.size))
    return invalid("mutant: one name a member");
  if (spec.size > 1 && spec.store == nullptr) return invalid("mutant: no store");
  if (spec.memory == weft::MemoryKind::device && !breaks("device_memory_taken"))
    return weft::fail(weft::ErrorCode::unimplemented, "mutant: host memory only");
  return {};
}

class MeshCommunicator final : public weft::Communicator {
 public:
  weft::Result<std::unique_ptr<weft::Group>> open(const weft::GroupSpec& spec) override {
    WEFT_TRY(check(spec));
    WEFT_TRY(check_process(spec));
    std::unique_lock alone(one_at_a_time_, std::defer_lock);
    if (breaks("one_open_at_a_time") && !alone.try_lock())
      return weft::fail(weft::ErrorCode::resource_exhausted, "mutant: another open is under way");
    weft::GroupSpec meeting = spec;
    if (breaks("one_open_at_a_time") ||
        breaks("one_rank_a_process"))  // whose peer was turned away waits in vain, and need not do so for long
      meeting.deadline = weft::Deadline::in(std::chrono::seconds(1)).earlier(spec.deadline);
    weft::Result<Mesh> mesh = Mesh::open(meeting);
    if (mesh) return std::make_unique<MeshGroup>(spec, std::move(*mesh));
    leave_process(spec);
    return weft::fail(std::move(mesh.error()));
  }
  void* query(std::string_view) override { return nullptr; }

 private:
  std::mutex one_at_a_time_;
};

weft::Result<std::unique_ptr<weft::Communicator>> create(const weft::PluginOptions&, weft::HostServices&) {
  return std::make_unique<MeshCommunicator>();
}

}  // namespace
}  // namespace mutant

WEFT_PLUGIN(weft::Communicator, {.name = "mutant",
                                 .version = "1.0.0",
                                 .summary = "breaks a rule",
                                 .capabilities = mutant::capabilities,
                                 .create = &mutant::create})
