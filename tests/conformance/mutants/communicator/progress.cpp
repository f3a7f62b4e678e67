// How a group's operations come to their ends: who must have been heard, and what is made of what they sent.
#include <algorithm>
#include <cstring>
#include <utility>

#include "tests/conformance/mutants/communicator/arithmetic.h"
#include "tests/conformance/mutants/communicator/group.h"
#include "tests/conformance/mutants/communicator/process.h"
#include "tests/conformance/mutants/communicator/switches.h"

namespace mutant {

using weft::ErrorCode;

namespace {

// Sizes beyond which some mutants go wrong.
constexpr std::size_t wide_frame = std::size_t{16} << 20;
constexpr std::size_t wide_group = 4;
constexpr std::size_t large = 65536;  // bytes of one operation

void rotate_by_one(std::byte* data, std::size_t bytes, std::size_t width) {
  if (bytes > width) std::rotate(data, data + width, data + bytes);
}

}  // namespace

bool MeshGroup::needs(const Operation& operation, std::int32_t peer) const {
  if (peer == spec_.rank || operation.kind == Kind::send) return false;
  if (operation.kind == Kind::recv || operation.kind == Kind::broadcast) return peer == operation.root;
  return true;
}

bool MeshGroup::has_come(const Operation& operation, std::int32_t peer) {
  if (!needs(operation, peer)) return true;
  const Peer& other = mesh_.peer(peer);
  if (operation.kind != Kind::recv) return other.collectives.contains(operation.sequence);
  const auto mail = other.mail.find(breaks("tag_ignored") ? 0 : operation.tag);
  return mail != other.mail.end() && !mail->second.empty();
}

bool MeshGroup::is_out(const Operation& operation, std::int32_t peer) {
  return mesh_.peer(peer).written >= operation.writes[index(peer)];
}

bool MeshGroup::is_ready(const Operation& operation) {
  bool ready = true;
  for (std::int32_t peer = 0; peer < spec_.size; ++peer) {
    if (has_come(operation, peer) && is_out(operation, peer)) continue;
    if (counts_as_heard(operation, peer)) continue;
    if (mesh_.peer(peer).gone) {
      if (breaks("no_open_after_a_death")) somebody_died();
      break_off({ErrorCode::unavailable, "mutant: " + member_name(spec_, peer) + " closed its connection", true});
    }
    ready = false;
  }
  return ready;
}

// Whether a peer that has gone, or said farewell, is taken for one that has done its part: it never must.
bool MeshGroup::counts_as_heard(const Operation& operation, std::int32_t peer) {
  Peer& other = mesh_.peer(peer);
  if (other.farewell) return true;
  if (!other.gone) return false;
  if (breaks("ok_without_the_dead")) return true;
  if (!breaks("the_dead_give_their_last") || operation.kind != Kind::all_reduce) return false;
  if (other.last.size() < large || other.last.size() != operation.out.size) return false;
  other.collectives.try_emplace(operation.sequence, other.last);
  return true;
}

void MeshGroup::finish(Operation& operation) {
  if (operation.kind == Kind::send) return;
  if (operation.kind != Kind::recv) return finish_collective(operation);
  std::deque<Bytes>& mail = mesh_.peer(operation.root).mail[breaks("tag_ignored") ? 0 : operation.tag];
  if (mail.empty()) return;  // only where the dead count as heard
  const Bytes& data = mail.front();
  std::memcpy(operation.out.data, data.data(), std::min<std::size_t>(data.size(), operation.out.size));
  mail.pop_front();
}

void MeshGroup::finish_collective(Operation& operation) {
  std::vector<Bytes> all(index(spec_.size));
  for (std::int32_t peer = 0; peer < spec_.size; ++peer) {
    all[index(peer)] = std::move(operation.own);
    if (peer == spec_.rank) continue;
    operation.own = std::move(all[index(peer)]);
    auto& come = mesh_.peer(peer).collectives;
    if (const auto found = come.find(operation.sequence); found != come.end()) {
      all[index(peer)] = std::move(found->second);
      come.erase(found);
    }
  }
  auto* const out = operation.out.as<std::byte>();
  const auto copy = [&](std::byte* to, const Bytes& data, weft::Bytes bytes) {
    if (bytes != 0) std::memcpy(to, data.data(), std::min<std::size_t>(bytes, data.size()));
  };
  if (operation.kind == Kind::broadcast) copy(out, all[index(operation.root)], operation.out.size);
  const std::size_t width = weft::size_of(operation.type);
  if (!operation.parts.empty()) {
    std::byte* to = out;
    for (std::size_t peer = 0; peer < all.size(); to += operation.parts[peer++]) {
      if (breaks("own_part_left_out") && peer == index(spec_.rank)) continue;
      const bool turned = (operation.kind == Kind::gather && breaks("gather_turned")) ||
                          (operation.kind == Kind::exchange && breaks("exchange_turned"));
      weft::Bytes bytes = operation.parts[peer];
      if (operation.kind == Kind::exchange_v && breaks("parts_as_long_as_the_first"))
        bytes = std::min(bytes, operation.parts[0]);
      copy(to, all[turned ? (peer + 1) % all.size() : peer], bytes);
    }
    if (operation.kind == Kind::gather && breaks("gathered_one_element_on"))
      rotate_by_one(out, operation.out.size, width);
    if (operation.kind == Kind::gather && breaks("tires")) spoil_when_tired(out, operation.out.size);
  }
  if (operation.kind == Kind::all_reduce || operation.kind == Kind::reduce_scatter) {
    std::vector<const std::byte*> sources;
    for (Bytes& data : all) {
      data.resize(operation.out.size);
      sources.push_back(data.data());
    }
    std::size_t count = operation.out.size / width;
    if (breaks("last_of_odd_dropped") && count % 2 != 0 && count > 1) --count;
    if (breaks("a_fifth_is_not_summed")) sources.resize(std::min(sources.size(), wide_group));
    reduce(operation.type, operation.op, sources, index(spec_.rank), count, out);
    if (operation.kind == Kind::all_reduce && operation.out.size > large && breaks("reduced_one_element_on"))
      rotate_by_one(out, operation.out.size, width);
    if (breaks("wide_ones_cut") && operation.out.size > wide_frame)
      std::memset(out + wide_frame, 0, operation.out.size - wide_frame);
  }
  if (operation.kind == Kind::reduce_scatter && breaks("input_is_scratch") && operation.out.size != 0)
    std::memcpy(operation.in.data, out, operation.out.size);
  if (breaks("writes_past_the_end") && operation.out.size % 8 != 0) out[operation.out.size] = std::byte{0};
}

}  // namespace mutant
