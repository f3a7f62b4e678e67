#include "plugins/common/meeting.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <exception>
#include <utility>

#include "plugins/common/group_spec.h"

namespace weft::plugins {
namespace {

constexpr Duration courtesy = std::chrono::milliseconds(200);

}  // namespace

Meeting::Meeting(std::string_view plugin, const GroupSpec& spec)
    : spec_(spec),
      greeting_(fmt::format("weft-{} size=", plugin)),
      prefix_(fmt::format("group/{}/{}/", spec.id, plugin.substr(0, plugin.find('/')))) {}

std::string Meeting::rank_key(std::int32_t rank) const { return fmt::format("{}rank/{}", prefix_, rank); }

// The counter tells apart two opens of one process.
std::string Meeting::presence(const std::string& details) const {
  static std::atomic<std::uint64_t> opened{0};
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '?';
  return fmt::format("{}{} host={} pid={} open={}\n{}", greeting_, spec_.size, host.data(), ::getpid(), ++opened,
                     details);
}

Result<std::string> Meeting::details_of(std::int32_t rank, std::string_view value) const {
  if (!value.starts_with(greeting_))
    return fail(ErrorCode::refused, fmt::format("{} came with another communicator or version of it ('{}')",
                                                member_name(spec_, rank), value.substr(0, 80)));
  std::int32_t size = 0;
  const std::string_view number = value.substr(greeting_.size());
  std::from_chars(number.data(), number.data() + number.size(), size);
  if (size != spec_.size)
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("{} came with size {}, this rank ({}) with size {}; all ranks must open a group with the same "
                    "size",
                    member_name(spec_, rank), size, member_name(spec_, spec_.rank), spec_.size));
  const std::size_t line = value.find('\n');
  return std::string(line == std::string_view::npos ? "" : value.substr(line + 1));
}

// The error of a wait that ended at its deadline: who is not there.
Error Meeting::missing_ranks() const {
  const auto keys = spec_.store->list(prefix_ + "rank/", Deadline::in(courtesy));
  std::string names;
  int missing = 0;
  for (std::int32_t rank = 0; rank < spec_.size && keys; ++rank) {
    if (std::find(keys->begin(), keys->end(), rank_key(rank)) != keys->end()) continue;
    names += (missing++ == 0 ? "" : ", ") + member_name(spec_, rank);
    if (const auto reason = reason_of(rank)) names += fmt::format(" (it came, and left: {})", *reason);
  }
  return Error{ErrorCode::deadline_exceeded,
               fmt::format("{} of {} ranks did not come in time: {}", missing, spec_.size,
                           keys ? names : "unknown, the store does not answer"),
               true};
}

Result<std::vector<std::string>> Meeting::meet(const std::string& details) const {
  const std::string mine = presence(details);
  const auto claimed = spec_.store->compare_and_set(rank_key(spec_.rank), std::nullopt, mine, spec_.deadline);
  if (!claimed) {
    // The store may have done it all the same, and only its answer be missing.
    const auto now = spec_.store->get(rank_key(spec_.rank), Deadline::in(courtesy));
    if (now && *now == mine) withdraw();
    return fail(annotate(claimed.error(), "store"));
  }
  const std::string& holds = *claimed;
  if (holds != mine)
    return fail(
        ErrorCode::already_exists,
        fmt::format("{} is there already ('{}'); each rank opens a group once, and a group that is opened again "
                    "needs a new id",
                    member_name(spec_, spec_.rank), holds.substr(0, holds.find('\n'))));
  // One key after another, so that a rank with another size is an error at once even if a further rank never comes.
  std::vector<std::string> all;
  for (std::int32_t rank = 0; rank < spec_.size; ++rank) {
    if (rank == spec_.rank) {
      all.push_back(details);
      continue;
    }
    const auto value = spec_.store->wait({rank_key(rank)}, spec_.deadline);
    if (!value) {
      Error error =
          value.error().code == ErrorCode::deadline_exceeded ? missing_ranks() : annotate(value.error(), "store");
      withdraw();
      return fail(std::move(error));
    }
    WEFT_ASSIGN(theirs, details_of(rank, value->front()));
    all.push_back(std::move(theirs));
  }
  return all;
}

void Meeting::withdraw() const noexcept {
  try {
    static_cast<void>(spec_.store->remove(rank_key(spec_.rank), Deadline::in(courtesy)));
  } catch (const std::exception&) {  // a key left behind goes when the head retires the group's incarnation
  }
}

void Meeting::leave_reason(const Error& why) const noexcept {
  if (spec_.store == nullptr) return;
  try {
    static_cast<void>(spec_.store->set(fmt::format("{}broken/{}", prefix_, spec_.rank),
                                       std::string_view(to_string(why)).substr(0, 4096), Deadline::in(courtesy)));
  } catch (const std::exception&) {  // the others say less
  }
}

std::optional<std::string> Meeting::reason_of(std::int32_t rank) const noexcept {
  if (spec_.store == nullptr) return std::nullopt;
  try {
    auto value = spec_.store->get(fmt::format("{}broken/{}", prefix_, rank), Deadline::in(courtesy));
    if (value) return std::move(*value);
  } catch (const std::exception&) {
  }
  return std::nullopt;
}

Status Meeting::leave(Deadline deadline) const {
  if (spec_.store == nullptr) return {};
  WEFT_ASSIGN_CONTEXT(gone, spec_.store->add(prefix_ + "left", 1, deadline), "store");
  if (gone < spec_.size) return {};
  WEFT_TRY_CONTEXT(spec_.store->remove_prefix(prefix_, deadline), "store");
  return {};
}

}  // namespace weft::plugins
