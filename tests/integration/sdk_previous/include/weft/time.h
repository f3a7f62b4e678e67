// Time as plugins see it. Every wait in Weft has a Deadline; a deadline that passes is an error that names what was
// missing.
#pragma once

#include <chrono>

namespace weft {

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;
using Duration = Clock::duration;

// A point in time after which a wait must have ended. A value; safe from any thread.
class Deadline {
 public:
  constexpr explicit Deadline(Time at) noexcept : at_(at) {}
  static Deadline in(Duration duration) noexcept {
    const Time now = Clock::now();
    return duration >= Time::max() - now ? never() : Deadline(now + duration);
  }
  // For waits that something else is sure to end; say in a comment what.
  static constexpr Deadline never() noexcept { return Deadline(Time::max()); }

  constexpr Time at() const noexcept { return at_; }
  bool passed() const noexcept { return Clock::now() >= at_; }
  // Zero once passed; Duration::max() for never().
  Duration left() const noexcept {
    if (at_ == Time::max()) return Duration::max();
    const Time now = Clock::now();
    return now >= at_ ? Duration::zero() : at_ - now;
  }
  // Milliseconds for poll(2) and its kin: rounded up, -1 for never, capped at an hour.
  int poll_milliseconds() const noexcept {
    if (at_ == Time::max()) return -1;
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left()).count();
    return ms > 3'600'000 ? 3'600'000 : static_cast<int>(ms);
  }
  constexpr Deadline earlier(Deadline other) const noexcept { return at_ < other.at_ ? *this : other; }

 private:
  Time at_;
};

}  // namespace weft
