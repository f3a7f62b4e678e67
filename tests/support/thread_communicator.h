// A Communicator whose ranks are threads of one process: the double that tests of collectives' users need. Host memory
// only; keeps communicator.h's contract, sums in rank order, and waits no longer than the group's operation_timeout.
//
// One ThreadCommunicator is shared by all ranks; a group is made of the opens with the same id. Every rank publishes what
// it reads from and, once all have, works out its own result.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <weft/communicator.h>

namespace weft::test {

class ThreadCommunicator : public Communicator {
 public:
  Result<std::unique_ptr<Group>> open(const GroupSpec& spec) override;
  void* query(std::string_view) override { return nullptr; }

 private:
  struct Hub;
  class ThreadGroup;

  std::mutex mutex_;                                  // guards hubs_
  std::map<std::string, std::shared_ptr<Hub>> hubs_;  // shared with the groups, which may outlive the map's entry
};

// What the ranks of one group share; `mutex` guards all of it.
struct ThreadCommunicator::Hub {
  explicit Hub(std::int32_t ranks) : size(ranks), inputs(static_cast<std::size_t>(ranks)) {}

  const std::int32_t size;
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<Error> broken;
  std::int32_t waiting = 0;
  std::uint64_t round = 0;
  std::vector<std::vector<std::byte>> inputs;  // by rank
  std::map<std::tuple<std::int32_t, std::int32_t, std::uint32_t>, std::deque<std::vector<std::byte>>> mail;

  Status broken_or_late(std::unique_lock<std::mutex>& lock, Time until, const std::function<bool()>& done) {
    if (!changed.wait_until(lock, until, [&] { return broken.has_value() || done(); }))
      broken = Error{ErrorCode::deadline_exceeded, "thread group: ranks are missing", false};
    if (!broken) return {};
    changed.notify_all();
    return fail(*broken);
  }

  Status barrier(Time until) {
    std::unique_lock lock(mutex);
    if (broken) return fail(ErrorCode::failed_precondition, "thread group: broken: " + broken->message);
    const std::uint64_t mine = round;
    if (++waiting == size) {
      waiting = 0;
      ++round;
      changed.notify_all();
      return {};
    }
    return broken_or_late(lock, until, [&] { return round != mine; });
  }
};

class ThreadCommunicator::ThreadGroup final : public Group {
 public:
  ThreadGroup(std::shared_ptr<Hub> hub, const GroupSpec& spec) : hub_(std::move(hub)), spec_(spec) {}

  std::int32_t rank() const noexcept override { return spec_.rank; }
  std::int32_t size() const noexcept override { return spec_.size; }

  Result<Buffer> allocate(Bytes bytes) override {
    memory_.push_back(std::make_unique<std::byte[]>(bytes));
    return Buffer{.data = memory_.back().get(), .size = bytes};
  }

  Result<Work> all_reduce(Buffer inout, DType type, ReduceOp op, Stream) override {
    return exchange(inout, [&] { reduce(0, inout, type, op); });
  }
  Result<Work> all_gather(Buffer in, Buffer out, DType, Stream) override {
    return exchange(in, [&] {
      for (std::size_t r = 0; r < hub_->inputs.size(); ++r)
        copy(out, r * in.size, hub_->inputs[r], 0, in.size);
    });
  }
  Result<Work> reduce_scatter(Buffer in, Buffer out, DType type, ReduceOp op, Stream) override {
    return exchange(in, [&] { reduce(static_cast<Bytes>(rank()) * out.size, out, type, op); });
  }
  Result<Work> broadcast(Buffer inout, DType, std::int32_t root, Stream) override {
    return exchange(inout, [&] { copy(inout, 0, hub_->inputs[static_cast<std::size_t>(root)], 0, inout.size); });
  }
  Result<Work> all_to_all(Buffer in, Buffer out, DType, Stream) override {
    const Bytes part = in.size / static_cast<Bytes>(size());
    return exchange(in, [&] {
      for (std::size_t r = 0; r < hub_->inputs.size(); ++r)
        copy(out, r * part, hub_->inputs[r], static_cast<Bytes>(rank()) * part, part);
    });
  }
  Result<Work> all_to_all_v(Buffer, std::span<const Bytes>, Buffer, std::span<const Bytes>, DType, Stream) override {
    return fail(ErrorCode::unimplemented, "thread group: all_to_all_v");
  }
  Result<Work> send(Buffer in, DType, std::int32_t peer, std::uint32_t tag, Stream) override {
    const std::lock_guard lock(hub_->mutex);
    if (hub_->broken) return fail(ErrorCode::failed_precondition, "thread group: broken: " + hub_->broken->message);
    hub_->mail[{rank(), peer, tag}].push_back(bytes_of(in));
    hub_->changed.notify_all();
    return Work{};
  }
  Result<Work> recv(Buffer out, DType, std::int32_t peer, std::uint32_t tag, Stream) override {
    std::unique_lock lock(hub_->mutex);
    auto& queue = hub_->mail[{peer, rank(), tag}];
    if (auto status = hub_->broken_or_late(lock, until(), [&] { return !queue.empty(); }); !status)
      return fail(std::move(status).error());
    copy(out, 0, queue.front(), 0, out.size);
    queue.pop_front();
    return Work{};
  }
  Result<Work> barrier(Stream) override {
    return exchange({}, [] {});
  }

  void abort(Error why) noexcept override {
    const std::lock_guard lock(hub_->mutex);
    if (!hub_->broken) hub_->broken = std::move(why);
    hub_->changed.notify_all();
  }
  Status close(Deadline) override { return {}; }
  void* query(std::string_view) override { return nullptr; }
  Status wait(std::uint64_t, Deadline) override { return {}; }  // every operation is done on return
  bool done(std::uint64_t) override { return true; }

 private:
  Time until() const { return Clock::now() + spec_.operation_timeout; }

  static std::vector<std::byte> bytes_of(Buffer in) {
    const auto* data = in.as<std::byte>();
    return {data, data + in.size};
  }
  static void copy(Buffer to, Bytes at, const std::vector<std::byte>& from, Bytes offset, Bytes bytes) {
    if (bytes > 0) std::memcpy(to.as<std::byte>() + at, from.data() + offset, bytes);
  }

  // Copies `in` where the others see it, then runs `finish` between two barriers.
  template <class Finish>
  Result<Work> exchange(Buffer in, Finish finish) {
    hub_->inputs[static_cast<std::size_t>(rank())] = bytes_of(in);
    WEFT_TRY(hub_->barrier(until()));
    finish();
    WEFT_TRY(hub_->barrier(until()));
    return Work{};
  }

  // out = the ranks' elements from byte `offset` on, reduced in rank order.
  void reduce(Bytes offset, Buffer out, DType type, ReduceOp op) const {
    switch (type) {
      case DType::f32: return reduce_as<float>(offset, out, op);
      case DType::f16: return reduce_as<f16>(offset, out, op);
      case DType::bf16: return reduce_as<bf16>(offset, out, op);
      case DType::i32: return reduce_as<std::int32_t>(offset, out, op);
      case DType::i64: return reduce_as<std::int64_t>(offset, out, op);
      case DType::u8: return reduce_as<std::uint8_t>(offset, out, op);
    }
  }
  template <class T>
  void reduce_as(Bytes offset, Buffer out, ReduceOp op) const {
    using Wide = std::conditional_t<std::is_integral_v<T>, T, float>;
    const auto widen = [](T value) -> Wide {
      if constexpr (std::is_integral_v<T>)
        return value;
      else
        return to_f32(value);
    };
    for (Bytes i = 0; i < out.size / sizeof(T); ++i) {
      Wide sum{};
      for (std::size_t r = 0; r < hub_->inputs.size(); ++r) {
        T element;
        std::memcpy(&element, hub_->inputs[r].data() + offset + i * sizeof(T), sizeof(T));
        const Wide value = widen(element);
        if (r == 0)
          sum = value;
        else if (op == ReduceOp::sum)
          sum = static_cast<Wide>(sum + value);
        else
          sum = op == ReduceOp::max ? std::max(sum, value) : std::min(sum, value);
      }
      if constexpr (std::is_integral_v<T>)
        out.as<T>()[i] = sum;
      else
        out.as<T>()[i] = from_f32<T>(sum);
    }
  }

  std::shared_ptr<Hub> hub_;  // shared by the ranks of the group: the last one to go frees it
  GroupSpec spec_;
  std::vector<std::unique_ptr<std::byte[]>> memory_;
};

inline Result<std::unique_ptr<Group>> ThreadCommunicator::open(const GroupSpec& spec) {
  const std::lock_guard lock(mutex_);
  auto& hub = hubs_[spec.id];
  if (hub == nullptr) hub = std::make_shared<Hub>(spec.size);
  if (spec.rank < 0 || spec.rank >= hub->size || spec.size != hub->size)
    return fail(ErrorCode::invalid_argument, "thread group: no rank " + std::to_string(spec.rank));
  return std::unique_ptr<Group>(new ThreadGroup(hub, spec));
}

}  // namespace weft::test
