#include "core/store/local_store.h"

#include <condition_variable>
#include <mutex>
#include <utility>

#include "core/wire/convert.h"

namespace weft::store {

Result<wire::StoreReply> LocalStore::call(wire::StoreRequest request, Deadline deadline) {
  std::mutex mutex;  // guards `answer`
  std::condition_variable answered;
  std::optional<wire::StoreReply> answer;

  const Time now = Clock::now();
  request.set_timeout_ms(milliseconds_left(deadline));
  // The state calls this once at the latest in expire(), so the references outlive it.
  host_.apply(request, source_, now, [&](wire::StoreReply reply) {
    const std::lock_guard lock(mutex);
    answer = std::move(reply);
    answered.notify_all();
  });

  std::unique_lock lock(mutex);
  Time wake = deadline.at();
  while (!answer) {
    if (wake == Time::max()) {
      answered.wait(lock);  // ended by retire() or close() at the latest
      continue;
    }
    if (answered.wait_until(lock, wake) == std::cv_status::no_timeout || answer) continue;
    lock.unlock();
    host_.expire(Clock::now());
    lock.lock();
    wake = Clock::now() + std::chrono::milliseconds(1);  // the state's deadline is rounded up to a millisecond
  }
  if (answer->has_error()) return fail(wire::from_wire(answer->error()));
  return std::move(*answer);
}

}  // namespace weft::store
