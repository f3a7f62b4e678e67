#include "tests/unit/batch/fake_router.h"

#include <pthread.h>

#include <algorithm>

namespace weft::test {
namespace {

FakeAnswer repeat_first_id(const Request& request) {
  const auto count = static_cast<std::size_t>(std::min(request.stop.max_tokens, 3));
  return {.tokens = std::vector<TokenId>(count, request.prompt.front()), .outcome = {.reason = FinishReason::length}};
}

}  // namespace

FakeRouter::FakeRouter(RouterEvents& events, FakeRouterOptions options)
    : events_(events), options_(std::move(options)), random_(options_.seed), held_(options_.held) {
  for (ReplicaId id = 0; id < options_.replicas; ++id)
    totals_.replicas[id] = {};
  thread_ = std::thread([this] { work(); });
  (void)pthread_setname_np(thread_.native_handle(), "fake-router");
}

FakeRouter::~FakeRouter() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

RequestId FakeRouter::next_id() noexcept {
  const std::lock_guard lock(mutex_);
  return ++last_id_;
}

Result<ReplicaId> FakeRouter::submit(Request request, std::optional<ReplicaId> replica) {
  const std::lock_guard lock(mutex_);
  if (refusal_) {
    const Error error = *std::exchange(refusal_, std::nullopt);
    return fail(error);
  }
  std::optional<ReplicaId> chosen;
  for (const auto& [id, row] : totals_.replicas) {
    const bool legal = !down_[id] && row.in_flight < options_.capacity && (!replica || *replica == id);
    if (legal && (!chosen || row.in_flight < totals_.replicas[*chosen].in_flight)) chosen = id;
  }
  if (!chosen) return fail(ErrorCode::unavailable, "no room", true);
  submissions_.push_back({request.prompt, request.stop.max_tokens, *chosen, request.choice, request.sampling.seed});
  ++totals_.replicas[*chosen].in_flight;
  ++totals_.submitted;
  const RequestId id = request.id;
  running_[id] = {.request = std::move(request), .replica = *chosen, .forced = std::nullopt};
  changed_.notify_all();
  return *chosen;
}

Status FakeRouter::cancel(RequestId request) {
  const std::lock_guard lock(mutex_);
  const auto found = running_.find(request);
  if (found == running_.end()) return fail(ErrorCode::not_found, "not under way");
  found->second.forced = FakeAnswer{.tokens = {}, .outcome = {.reason = FinishReason::cancelled}};
  changed_.notify_all();
  return {};
}

std::int32_t FakeRouter::room(std::optional<ReplicaId> replica) const {
  const std::lock_guard lock(mutex_);
  std::int32_t sum = 0;
  for (const auto& [id, row] : totals_.replicas)
    if (const auto down = down_.find(id); (down == down_.end() || !down->second) && (!replica || *replica == id))
      sum += options_.capacity - row.in_flight;
  return sum;
}

void FakeRouter::set_ready(ReplicaId replica, std::int64_t) {
  const std::lock_guard lock(mutex_);
  down_[replica] = false;
  room_news_ = true;
  changed_.notify_all();
}

void FakeRouter::set_draining(ReplicaId) {}

void FakeRouter::set_down(ReplicaId replica, std::int64_t, const Error& why) {
  const std::lock_guard lock(mutex_);
  down_[replica] = true;
  room_news_ = true;
  Error error = why;
  error.retryable = true;
  for (auto& [id, running] : running_)
    if (running.replica == replica)
      running.forced = FakeAnswer{.tokens = {}, .outcome = {.reason = FinishReason::error, .error = error}};
  changed_.notify_all();
}

LedgerTotals FakeRouter::totals() const {
  const std::lock_guard lock(mutex_);
  return totals_;
}

std::map<ReplicaId, LeaderStats> FakeRouter::stats() const { return {}; }

std::vector<FakeRouter::Submission> FakeRouter::submissions() const {
  const std::lock_guard lock(mutex_);
  return submissions_;
}

std::size_t FakeRouter::under_way() const {
  const std::lock_guard lock(mutex_);
  return running_.size();
}

bool FakeRouter::wait_for_under_way(std::size_t count, Duration patience) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, patience, [&] { return running_.size() >= count; });
}

void FakeRouter::release() {
  const std::lock_guard lock(mutex_);
  held_ = false;
  changed_.notify_all();
}

void FakeRouter::refuse_next_submission(Error error) {
  const std::lock_guard lock(mutex_);
  refusal_ = std::move(error);
}

std::optional<RequestId> FakeRouter::choose() {
  for (const auto& [id, running] : running_)
    if (running.forced) return id;
  if (held_ || running_.empty()) return std::nullopt;
  auto chosen = running_.begin();
  std::advance(chosen, static_cast<std::ptrdiff_t>(random_() % running_.size()));
  return chosen->first;
}

void FakeRouter::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stop_ || room_news_ || choose(); });
    if (stop_) return;
    if (std::exchange(room_news_, false)) {
      lock.unlock();
      events_.on_room();
      lock.lock();
      continue;
    }
    const RequestId id = *choose();
    const Running running = std::move(running_.at(id));
    running_.erase(id);
    FakeAnswer answer = running.forced    ? *running.forced
                        : options_.answer ? options_.answer(running.request)
                                          : repeat_first_id(running.request);
    answer.outcome.replica = running.replica;
    answer.outcome.generated = static_cast<std::int32_t>(answer.tokens.size());
    LedgerTotals::Row& row = totals_.replicas[running.replica];
    --row.in_flight;
    ++row.requests;
    row.tokens += answer.outcome.generated;
    const std::int64_t ended = ++totals_.finished;
    const std::size_t first = answer.tokens.empty() ? 0 : random_() % answer.tokens.size();
    lock.unlock();
    const std::span<const TokenId> tokens(answer.tokens);
    const std::span<const TokenLogprobs> logprobs(answer.logprobs);
    const auto give = [&](std::size_t begin, std::size_t end) {
      if (begin == end) return;
      if (begin < logprobs.size())
        events_.on_logprobs(id, {}, logprobs.subspan(begin, std::min(end, logprobs.size()) - begin));
      events_.on_tokens(id, tokens.subspan(begin, end - begin));
    };
    if (!answer.prompt_logprobs.empty()) events_.on_logprobs(id, answer.prompt_logprobs, {});
    give(0, first);
    give(first, tokens.size());
    events_.on_finished(id, answer.outcome);
    events_.on_room();
    if (options_.after) options_.after(ended);
    lock.lock();
  }
}

}  // namespace weft::test
