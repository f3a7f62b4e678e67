#include "tests/conformance/executor/recorder.h"

#include <fmt/format.h>

#include <map>

#include "tests/conformance/executor/post.h"

namespace weft::conformance::ex {

void Conduct::begin() {
  if (++under_way_ > 1) overlapped_ = true;
  if (finished_) ++late_;
  const std::lock_guard lock(mutex_);
  threads_.insert(std::this_thread::get_id());
}

std::size_t Conduct::threads() const {
  const std::lock_guard lock(mutex_);
  return threads_.size();
}

bool Conduct::called_by(std::thread::id thread) const {
  const std::lock_guard lock(mutex_);
  return threads_.contains(thread);
}

std::string to_text(const Exit& exit) {
  constexpr const char* names[] = {"code", "signal", "node_lost", "unknown", "never_started"};
  const auto index = static_cast<std::size_t>(exit.cause);
  std::string text = fmt::format("{} {}", index < std::size(names) ? names[index] : "no cause", exit.value);
  return exit.detail.empty() ? text : text + " (" + exit.detail + ")";
}

void Recorder::on_pending(const GangId& gang, std::string_view) {
  take({.what = Told::What::pending, .gang = gang, .placements = {}, .rank = 0, .exit = {}, .at = {}});
}

void Recorder::on_placed(const GangId& gang, const std::vector<Placement>& placements) {
  take({.what = Told::What::placed, .gang = gang, .placements = placements, .rank = 0, .exit = {}, .at = {}});
}

void Recorder::on_exit(const GangId& gang, std::int32_t rank, const Exit& exit) {
  take({.what = Told::What::exit, .gang = gang, .placements = {}, .rank = rank, .exit = exit, .at = {}});
}

void Recorder::take(Told told) {
  conduct_.begin();
  told.at = Clock::now();
  std::string failure;
  if (inside && !muted_) {
    try {
      inside(told);
    } catch (const Ended& ended) {  // an exception must not reach the executor
      failure = ended.message;
    }
  }
  {
    const std::lock_guard lock(mutex_);
    if (failure_.empty()) failure_ = failure;
    told_.push_back(std::move(told));
    changed_.notify_all();
  }
  conduct_.end();
}

std::vector<Told> Recorder::all() const {
  const std::lock_guard lock(mutex_);
  return told_;
}

void Recorder::forget() {
  const std::lock_guard lock(mutex_);
  std::vector<Told>().swap(told_);
}

std::vector<Told> Recorder::all(const GangId& gang, Told::What what) const {
  std::vector<Told> chosen;
  for (Told& told : all())
    if (told.gang == gang && told.what == what) chosen.push_back(std::move(told));
  return chosen;
}

void Recorder::wait(const std::function<bool(const std::vector<Told>&)>& ready, std::string_view otherwise) {
  std::unique_lock lock(mutex_);
  context_.wait_until(
      lock, changed_, [&] { return !failure_.empty() || ready(told_); }, patience(context_), otherwise);
  if (!failure_.empty()) context_.fail("inside a sink's call: " + failure_);
}

std::vector<Placement> Recorder::wait_placed(const GangId& gang) {
  std::vector<Placement> placements;
  wait(
      [&](const std::vector<Told>& told) {
        for (const Told& one : told)
          if (one.gang == gang && one.what == Told::What::placed) {
            placements = one.placements;
            return true;
          }
        return false;
      },
      fmt::format("gang {}.{} was not placed", gang.id, gang.incarnation));
  return placements;
}

std::vector<Told> Recorder::wait_exits(const GangId& gang, std::size_t ranks) {
  std::map<std::int32_t, Told> first;
  wait(
      [&](const std::vector<Told>& told) {
        for (const Told& one : told)
          if (one.gang == gang && one.what == Told::What::exit) first.emplace(one.rank, one);
        return first.size() >= ranks;
      },
      fmt::format("gang {}.{}: not all of {} exits were told", gang.id, gang.incarnation, ranks));
  std::vector<Told> exits;
  for (auto& [rank, told] : first)
    exits.push_back(std::move(told));
  return exits;
}

Exit Recorder::wait_exit(const GangId& gang, std::int32_t rank) {
  Exit exit;
  wait(
      [&](const std::vector<Told>& told) {
        for (const Told& one : told)
          if (one.gang == gang && one.what == Told::What::exit && one.rank == rank) {
            exit = one.exit;
            return true;
          }
        return false;
      },
      fmt::format("the exit of rank {} of gang {}.{} was not told", rank, gang.id, gang.incarnation));
  return exit;
}

void Recorder::expect_exit(const GangId& gang, std::int32_t rank, Exit::Cause cause, std::int32_t value) {
  const Exit exit = wait_exit(gang, rank);
  context_.expect(exit.cause == cause && exit.value == value,
                  fmt::format("rank {} of gang {}.{} ended with {}, expected {}", rank, gang.id, gang.incarnation,
                              to_text(exit), to_text({.cause = cause, .value = value, .detail = ""})));
}

}  // namespace weft::conformance::ex
