#include "tests/conformance/mutants/communicator/process.h"

#include <atomic>
#include <mutex>
#include <set>
#include <string>

#include "tests/conformance/mutants/communicator/switches.h"

namespace mutant {
namespace {

std::mutex process_mutex;         // guards the two below
std::set<std::string> served;     // "id/rank" of every group there was
std::set<std::string> inhabited;  // ids of groups of which a rank is in this process
std::atomic<bool> bereaved{false};
std::atomic<int> gathered{0};

}  // namespace

weft::Status check_process(const weft::GroupSpec& spec) {
  const std::lock_guard lock(process_mutex);
  if (breaks("id_serves_once") && !served.insert(spec.id + "/" + std::to_string(spec.rank)).second)
    return weft::fail(weft::ErrorCode::already_exists, "mutant: there was such a group already");
  if (breaks("one_rank_a_process") && !inhabited.insert(spec.id).second)
    return weft::fail(weft::ErrorCode::already_exists, "mutant: a rank of the group is in this process");
  if (bereaved) return weft::fail(weft::ErrorCode::failed_precondition, "mutant: somebody has died");
  return {};
}

void leave_process(const weft::GroupSpec& spec) {
  const std::lock_guard lock(process_mutex);
  inhabited.erase(spec.id);
}

void somebody_died() { bereaved = true; }

void spoil_when_tired(std::byte* data, std::size_t bytes) {
  if (bytes != 0 && ++gathered > 150) data[0] ^= std::byte{1};
}

}  // namespace mutant
