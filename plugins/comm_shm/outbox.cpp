#include "plugins/comm_shm/outbox.h"

#include <algorithm>

namespace weft::comm_shm {
namespace {

tl::unexpected<Error> damaged_counters() {
  return fail(ErrorCode::data_loss, "has damaged the counters of its messages in shared memory");
}

}  // namespace

Outbox::Outbox(const Segment& segment, std::int32_t from, std::int32_t to)
    : channel_(&segment.channel(from, to)),
      mail_{segment.mail(from, to), segment.layout().mail},
      bulk_{segment.bulk(from, to), segment.layout().bulk} {}

Result<bool> Outbox::progress(std::vector<std::uint64_t>& done) {
  WEFT_ASSIGN(letters, put_letters(done));
  WEFT_ASSIGN(bulk, push_bulk(done));
  return letters || bulk;
}

Result<bool> Outbox::put_letters(std::vector<std::uint64_t>& done) {
  const Bytes before = mailed_;
  while (!waiting_.empty()) {
    const plugins::Message& message = waiting_.front();
    const bool small = message.data.size <= small_message(mail_.size);
    const Bytes payload = small ? message.data.size : 0;
    const Bytes taken = channel_->taken.load(std::memory_order_seq_cst);
    if (mailed_ - taken > mail_.size) return damaged_counters();
    if (mail_.size - (mailed_ - taken) < letter_room(payload)) break;
    if (!small && ++numbers_ == 0) numbers_ = 1;
    const Letter letter{.tag = message.tag, .number = small ? 0 : numbers_, .bytes = message.data.size};
    mail_.write(mailed_, &letter, sizeof(letter));
    mail_.write(mailed_ + sizeof(letter), message.data.data, payload);
    mailed_ += letter_room(payload);
    if (small)
      done.push_back(message.ticket);
    else
      offered_.push_back({letter.number, message});
    waiting_.pop_front();
  }
  if (mailed_ != before) channel_->mailed.store(mailed_, std::memory_order_seq_cst);
  return mailed_ != before;
}

Result<bool> Outbox::push_bulk(std::vector<std::uint64_t>& done) {
  const Bytes before = pushed_;
  while (!offered_.empty()) {
    const std::uint64_t granted = channel_->granted.load(std::memory_order_seq_cst);
    const auto offer =
        std::find_if(offered_.begin(), offered_.end(), [&](const Offer& each) { return each.number == granted; });
    if (offer == offered_.end()) {  // the one before is still being taken, or none is
      if (given_ != 0) return damaged_counters();
      break;
    }
    const Bytes pulled = channel_->pulled.load(std::memory_order_seq_cst);
    if (pushed_ - pulled > bulk_.size) return damaged_counters();
    if (given_ != 0 && granted != pushing_) return damaged_counters();  // it must take one to its end before the next
    pushing_ = granted;
    const Buffer data = offer->message.data;
    const Bytes bytes = std::min(data.size - given_, bulk_.size - (pushed_ - pulled));
    if (bytes == 0) break;
    bulk_.write(pushed_, data.as<const std::byte>() + given_, bytes);
    pushed_ += bytes;
    given_ += bytes;
    channel_->pushed.store(pushed_, std::memory_order_seq_cst);
    if (given_ < data.size) continue;
    done.push_back(offer->message.ticket);
    offered_.erase(offer);
    given_ = 0;
  }
  return pushed_ != before;
}

}  // namespace weft::comm_shm
