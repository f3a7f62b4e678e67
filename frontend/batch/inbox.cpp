#include "frontend/batch/inbox.h"

#include <utility>

namespace weft::frontend {

void Inbox::put_tokens(RequestId request, std::span<const TokenId> tokens) {
  const Time now = Clock::now();
  const std::lock_guard lock(mutex_);
  if (!contents_.first_token && !tokens.empty()) contents_.first_token = now;
  contents_.events.emplace_back(TokensEvent{request, {tokens.begin(), tokens.end()}, now});
  wake();
}

void Inbox::put_logprobs(RequestId request, std::span<const TokenLogprobs> prompt,
                         std::span<const TokenLogprobs> generated) {
  const std::lock_guard lock(mutex_);
  contents_.events.emplace_back(
      LogprobsEvent{request, {prompt.begin(), prompt.end()}, {generated.begin(), generated.end()}});
  wake();
}

void Inbox::put_finished(RequestId request, const Outcome& outcome) {
  const std::lock_guard lock(mutex_);
  contents_.events.emplace_back(FinishedEvent{request, outcome});
  wake();
}

void Inbox::put_room() {
  const std::lock_guard lock(mutex_);
  wake();
}

void Inbox::put_interrupt() {
  const std::lock_guard lock(mutex_);
  ++contents_.interrupts;
  wake();
}

void Inbox::put_given_up(const Error& why) {
  const std::lock_guard lock(mutex_);
  if (!contents_.given_up) contents_.given_up = why;
  wake();
}

void Inbox::wake() {
  if (std::exchange(news_, true)) return;
  changed_.notify_one();
}

Inbox::Contents Inbox::take(Deadline deadline) {
  std::unique_lock lock(mutex_);
  const auto has_news = [this] { return news_; };
  if (deadline.at() == Time::max())  // some runtimes overflow on a wait until the end of time
    changed_.wait(lock, has_news);
  else
    changed_.wait_until(lock, deadline.at(), has_news);
  news_ = false;
  Contents taken{.events = std::exchange(contents_.events, {}),
                 .first_token = contents_.first_token,
                 .interrupts = contents_.interrupts,
                 .given_up = contents_.given_up};
  return taken;
}

}  // namespace weft::frontend
