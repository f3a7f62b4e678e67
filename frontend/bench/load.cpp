#include "frontend/bench/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <random>
#include <unordered_map>
#include <utility>

namespace weft::frontend {
namespace {

// Where a router says that it has room and then has not, it is about to tell of a lost replica; should it not, we ask again.
constexpr Duration ask_again = std::chrono::seconds(1);
// A leader's link to the router may come a moment after the head's word that its replica is ready.
constexpr Duration attach_patience = std::chrono::seconds(1);
constexpr Duration cancel_patience = std::chrono::seconds(2);

}  // namespace

std::vector<LoadRequest> random_requests(std::int32_t count, std::int32_t tokens, std::int32_t output_tokens,
                                         std::int32_t vocabulary, std::uint64_t seed) {
  // std::mt19937_64's sequence is the standard's; a distribution's is not.
  std::mt19937_64 random(seed);
  std::vector<LoadRequest> requests(static_cast<std::size_t>(count));
  for (LoadRequest& request : requests) {
    request.output_tokens = output_tokens;
    for (std::int32_t i = 0; i < tokens; ++i)
      request.prompt.push_back(static_cast<TokenId>(random() % static_cast<std::uint64_t>(vocabulary)));
  }
  return requests;
}

class Load::Loop {
 public:
  Loop(Inbox& inbox, Router& router, std::span<const LoadRequest> requests)
      : inbox_(inbox), router_(router), requests_(requests) {
    report_.requests.resize(requests.size());
  }

  Result<LoadReport> run(std::span<const ReplicaId> replicas) {
    take(Deadline(start_));  // without a wait: an interrupt may be in the inbox already
    if (!error_) wait_for(replicas);
    start_ = Clock::now();
    while (!error_ && (next_ < requests_.size() || !running_.empty())) {
      submit();
      if (!error_) take(Deadline::in(ask_again));
    }
    if (!error_) return std::move(report_);
    cancel_all();
    return fail(std::move(*error_));
  }

 private:
  void wait_for(std::span<const ReplicaId> replicas) {
    const Deadline deadline = Deadline::in(attach_patience);
    const auto attached = [&] {
      return std::all_of(replicas.begin(), replicas.end(), [&](ReplicaId id) { return router_.room(id) > 0; });
    };
    while (!attached() && !deadline.passed() && !error_)
      take(deadline);
  }

  void submit() {
    for (; next_ < requests_.size() && router_.room(std::nullopt) > 0; ++next_) {
      const LoadRequest& given = requests_[next_];
      Request request{.id = router_.next_id(),
                      .prompt = given.prompt,
                      .sampling = {.temperature = 0},
                      .stop = {.max_tokens = given.output_tokens, .ignore_eos = true}};
      const RequestId id = request.id;
      running_[id] = next_;
      report_.requests[next_].submitted = at(Clock::now());
      const auto replica = router_.submit(std::move(request), std::nullopt);
      if (replica) continue;
      running_.erase(id);
      if (!replica.error().retryable) error_ = replica.error();
      return;
    }
  }

  void take(Deadline deadline) {
    Inbox::Contents contents = inbox_.take(deadline);
    if (contents.interrupts > 0) error_ = Error{ErrorCode::cancelled, "interrupted"};
    if (contents.given_up && !error_) error_ = contents.given_up;
    for (const auto& event : contents.events)
      if (const auto* tokens = std::get_if<TokensEvent>(&event))
        add_tokens(*tokens);
      else if (const auto* finished = std::get_if<FinishedEvent>(&event))
        finish(*finished);
  }

  void add_tokens(const TokensEvent& event) {
    const auto found = running_.find(event.request);
    if (found == running_.end() || event.tokens.empty()) return;
    RequestTimes& times = report_.requests[found->second];
    if (times.tokens == 0) times.first_token = at(event.at);
    times.last_token = at(event.at);
    times.tokens += static_cast<std::int64_t>(event.tokens.size());
    report_.seconds = std::max(report_.seconds, times.last_token);
  }

  void finish(const FinishedEvent& event) {
    const auto found = running_.find(event.request);
    if (found == running_.end()) return;
    const std::size_t index = found->second;
    running_.erase(found);
    if (error_) return;
    const Outcome& outcome = event.outcome;
    const std::int64_t got = report_.requests[index].tokens;
    if (outcome.reason == FinishReason::error)
      error_ = annotate(outcome.error, fmt::format("request {}", index + 1));
    else if (got != requests_[index].output_tokens)
      error_ = Error{ErrorCode::internal, fmt::format("request {}: ended after {} tokens ({}), expected {}", index + 1,
                                                      got, to_string(outcome.reason), requests_[index].output_tokens)};
  }

  // Their ends are waited for, so that none reaches a run that knows nothing of it; a replica needs one step for it.
  void cancel_all() {
    for (const auto& [id, index] : running_)
      (void)router_.cancel(id);  // one that has ended meanwhile is in the inbox
    const Deadline deadline = Deadline::in(cancel_patience);
    while (!running_.empty() && !deadline.passed())
      take(deadline);
  }

  double at(Time time) const { return std::chrono::duration<double>(time - start_).count(); }

  Inbox& inbox_;
  Router& router_;
  const std::span<const LoadRequest> requests_;
  Time start_ = Clock::now();
  std::size_t next_ = 0;  // the first that has not been submitted
  std::unordered_map<RequestId, std::size_t> running_;
  LoadReport report_;
  std::optional<Error> error_;
};

Result<LoadReport> Load::run(Router& router, std::span<const LoadRequest> requests,
                             std::span<const ReplicaId> replicas) {
  return Loop(inbox_, router, requests).run(replicas);
}

void Load::interrupt() { inbox_.put_interrupt(); }
void Load::give_up(const Error& why) { inbox_.put_given_up(why); }
void Load::on_tokens(RequestId request, std::span<const TokenId> tokens) { inbox_.put_tokens(request, tokens); }
void Load::on_finished(RequestId request, const Outcome& outcome) { inbox_.put_finished(request, outcome); }
void Load::on_room() { inbox_.put_room(); }

}  // namespace weft::frontend
