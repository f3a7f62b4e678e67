#include "tests/conformance/mutants/executor/mutant_executor.h"

#include <clocale>

#include "tests/conformance/mutants/executor/checks.h"
#include "tests/conformance/mutants/switch.h"

namespace weft::mutant {

MutantExecutor::~MutantExecutor() {
  if (breaks("a_call_after_close") && closed_ && last_call_) events_.post(last_call_);
  if (breaks("end_without_close")) {
    for (auto& [id, one] : living_)
      one.gang->abandon();
  } else {
    (void)close();
    wait_for_the_end();  // whatever close() left undone
  }
}

void* MutantExecutor::query(std::string_view interface_id) {
  if (breaks("undeclared_interface") && interface_id == "node_drain") return this;
  return interface_id == ExecutorLogTail::interface_id ? static_cast<ExecutorLogTail*>(&log_tail_) : nullptr;
}

Result<Inventory> MutantExecutor::inventory(Deadline deadline) {
  if (breaks("no_time_no_nodes") && deadline.passed()) return Inventory{};
  return Inventory{.nodes = all_nodes()};
}

Status MutantExecutor::launch(const GangSpec& spec, GangSink& sink) {
  if (breaks("no_calls_inside") && events_.in_its_thread()) return fail(ErrorCode::failed_precondition, "not now");
  if (breaks("thirty_two_ranks_at_most") && spec.ranks.size() > 32)
    return fail(ErrorCode::resource_exhausted, "too many ranks");
  WEFT_TRY(check(spec));
  if (breaks("one_launch_at_a_time") && !events_.in_its_thread()) {
    WEFT_TRY(begin_launch());
    const Status admitted = admit(spec, sink);
    end_launch();
    return admitted;
  }
  WEFT_TRY(admit(spec, sink));
  ++launched_;
  if (breaks("launch_changes_locale")) std::setlocale(LC_ALL, "C.UTF-8");
  if (breaks("launch_waits") && !events_.in_its_thread()) events_.drain();
  if (breaks("memory_kept")) {
    auto* const kept = new std::string(65536, 'x');
    events_.post([kept] { kept->back() = 'y'; });  // used, so that the allocation is not left out
  }
  return {};
}

// Where several threads launch, it lasts until another one comes meanwhile: nothing hangs on how threads happen to run.
Status MutantExecutor::begin_launch() {
  std::unique_lock lock(mutex_);
  if (launching_) {
    ++refused_;
    changed_.notify_all();
    return fail(ErrorCode::unavailable, "another launch is under way");
  }
  launching_ = true;
  launchers_.insert(std::this_thread::get_id());
  if (launchers_.size() > 1) changed_.wait_for(lock, scaled(std::chrono::seconds(3)), [&] { return refused_ > 0; });
  return {};
}

void MutantExecutor::end_launch() {
  const std::lock_guard lock(mutex_);
  launching_ = false;
}

Status MutantExecutor::admit(const GangSpec& spec, GangSink& sink) {
  const std::lock_guard lock(mutex_);
  if (closing_ && !closed_ && breaks("launches_slip_past_close")) {  // taken, and forgotten
    ++slipped_;
    changed_.notify_all();
    return {};
  }
  if (closing_ && !(closed_ && breaks("launches_when_closed")))
    return fail(ErrorCode::failed_precondition, "it is closed");
  if (breaks("a_name_is_used_up") && !names_.insert(spec.gang.id).second)
    return fail(ErrorCode::already_exists, "gang " + spec.gang.id + " has lived");
  const auto found = living_.find(spec.gang.id);
  const bool lives = found != living_.end();
  if (lives && breaks("two_incarnations") && found->second.incarnation != spec.gang.incarnation) {
    (void)found->second.gang.release();  // forgotten, and alive
    living_.erase(found);
  } else if (lives) {
    return fail(ErrorCode::already_exists, "gang " + spec.gang.id + " lives");
  }
  auto gang = std::make_unique<Gang>(spec, this_node(), listener_for(spec.gang, sink));
  log_tail_.launched(spec);
  living_[spec.gang.id] = {.incarnation = spec.gang.incarnation, .gang = std::move(gang)};
  return {};
}

Gang::Listener MutantExecutor::listener_for(const GangId& id, GangSink& sink) {
  return {.placed = [this, id, &sink](const std::vector<Placement>& placements) { placed(id, sink, placements); },
          .exited = [this, id, &sink](std::int32_t rank, const Exit& exit,
                                      bool last) { exited(id, sink, rank, exit, last); }};
}

void MutantExecutor::remember(std::function<void()> call) {
  const std::lock_guard lock(mutex_);
  last_call_ = std::move(call);
}

void MutantExecutor::tell(const GangId& id, std::function<void()> call) {
  if (breaks("sink_in_any_thread")) return call();
  if (breaks("a_held_sink_is_passed_by") && passes_by(id)) return other_events_.post(std::move(call));
  events_.post(std::move(call));
}

// Whether the thread for sinks was held up when there was something to tell of this gang for the first time: then another
// one tells all of it.
bool MutantExecutor::passes_by(const GangId& id) {
  constexpr std::chrono::milliseconds held(50);  // no call is so slow by itself
  const std::pair<std::string, std::int64_t> key(id.id, id.incarnation);
  {
    const std::lock_guard lock(mutex_);
    if (const auto known = passes_by_.find(key); known != passes_by_.end()) return known->second;
  }
  const bool passes = !events_.goes_on_within(held);
  const std::lock_guard lock(mutex_);
  return passes_by_[key] = passes;
}

void MutantExecutor::placed(const GangId& id, GangSink& sink, const std::vector<Placement>& placements) {
  tell(id, [id, &sink, placements] { sink.on_placed(id, placements); });
}

void MutantExecutor::exited(const GangId& id, GangSink& sink, std::int32_t rank, const Exit& exit, bool last) {
  const auto call = [id, &sink, rank, exit] { sink.on_exit(id, rank, exit); };
  if (breaks("wears_out") && last && ++gangs_ > 12) tell(id, call);
  if (breaks("a_call_after_close")) remember(call);
  if (!last) return tell(id, call);
  const bool late = breaks("name_kept_too_long");
  std::unique_ptr<Gang> gang = late ? nullptr : forget(id);
  tell(id, call);
  // This is the gang's own thread, which another must join.
  events_.post([this, late, id, ended = gang.release()] {
    delete (late ? forget(id).release() : ended);
    const std::lock_guard lock(mutex_);
    --ending_;
    changed_.notify_all();
  });
}

std::unique_ptr<Gang> MutantExecutor::forget(const GangId& id) {
  const std::lock_guard lock(mutex_);
  ++ending_;
  const auto found = living_.find(id.id);
  if (found == living_.end() || found->second.incarnation != id.incarnation) return nullptr;
  std::unique_ptr<Gang> gang = std::move(found->second.gang);
  living_.erase(found);
  changed_.notify_all();
  return gang;
}

Status MutantExecutor::stop(const GangId& gang, Duration grace) {
  const std::lock_guard lock(mutex_);
  const auto found = living_.find(gang.id);
  const bool any = breaks("stops_any_incarnation");
  if (found != living_.end() && (any || found->second.incarnation == gang.incarnation)) {
    if (breaks("a_second_stop_is_refused") && !stopped_.emplace(gang.id, gang.incarnation).second)
      return fail(ErrorCode::not_found, "gang " + gang.id + " is stopped already");
    if (breaks("stop_stops_all"))
      for (auto& [id, one] : living_)
        one.gang->stop(grace);
    if (breaks("pending_is_not_found") && !found->second.gang->was_placed())
      return fail(ErrorCode::not_found, "gang " + gang.id + " is not placed");
    if (breaks("stop_is_lost_while_pending") && !found->second.gang->was_placed()) return {};
    if (breaks("stop_is_lost_inside_a_sink") && events_.in_its_thread()) return {};
    found->second.gang->stop(grace);
    return {};
  }
  if (breaks("stop_finds_anything")) return {};
  if (closing_) return fail(ErrorCode::failed_precondition, "it is closed");
  return fail(ErrorCode::not_found, "gang " + gang.id + " does not live");
}

Status MutantExecutor::close() {
  {
    const std::lock_guard lock(mutex_);
    if (breaks("closes_once") && closing_) return fail(ErrorCode::failed_precondition, "it is closed");
    closing_ = true;
    for (auto& [id, one] : living_) {
      if (breaks("the_closed_leave_children")) one.gang->leave_children();
      one.gang->stop(Duration::zero());
    }
  }
  if (breaks("close_does_not_wait")) return {};
  if (breaks("launches_slip_past_close") && launched_ > 3) {  // until one comes, where many have come
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(3), [&] { return slipped_ > 0; });
  }
  wait_for_the_end();
  const std::lock_guard lock(mutex_);
  closed_ = true;
  return {};
}

void MutantExecutor::wait_for_the_end() {
  const std::lock_guard closing(closing_mutex_);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] {
    return living_.empty() && (ending_ == 0 || breaks("close_leaves_a_call"));
  });  // keepers end what they keep
  lock.unlock();
  if (breaks("close_leaves_a_call")) return;
  events_.drain();
  other_events_.drain();
}

}  // namespace weft::mutant
