#include "plugins/comm_shm/inbox.h"

#include <fmt/format.h>

#include <algorithm>

namespace weft::comm_shm {
namespace {

tl::unexpected<Error> damaged() { return fail(ErrorCode::data_loss, "has damaged its messages in shared memory"); }

}  // namespace

Inbox::Inbox(const Segment& segment, std::int32_t from, std::int32_t to)
    : channel_(&segment.channel(from, to)),
      mail_{segment.mail(from, to), segment.layout().mail},
      bulk_{segment.bulk(from, to), segment.layout().bulk},
      early_limit_(segment.layout().mail + segment.layout().bulk) {}

Status Inbox::check_length(const Letter& letter, const plugins::Message& message) {
  if (letter.bytes == message.data.size) return {};
  return fail(ErrorCode::invalid_argument, fmt::format("sent {} bytes with tag {}, where this rank receives {}",
                                                       letter.bytes, letter.tag, message.data.size));
}

Result<bool> Inbox::post(const plugins::Message& message) {
  const auto early =
      std::find_if(early_.begin(), early_.end(), [&](const Early& each) { return each.letter.tag == message.tag; });
  if (early == early_.end()) {
    wanted_.push_back(message);
    return false;
  }
  WEFT_TRY(check_length(early->letter, message));
  const bool whole = early->letter.number == 0;
  if (whole)
    std::copy(early->payload.begin(), early->payload.end(), message.data.as<std::byte>());
  else
    pulls_.push_back({early->letter.number, message});
  early_bytes_ -= letter_room(early->payload.size());
  early_.erase(early);
  return whole;
}

Result<bool> Inbox::progress(std::vector<std::uint64_t>& done) {
  WEFT_ASSIGN(letters, take_letters(done));
  WEFT_ASSIGN(bulk, pull_bulk(done));
  return letters || bulk;
}

Result<bool> Inbox::take_letters(std::vector<std::uint64_t>& done) {
  const Bytes before = taken_;
  const Bytes there = channel_->mailed.load(std::memory_order_seq_cst) - taken_;
  if (there > mail_.size) return damaged();
  for (Bytes left = there; left != 0;) {
    Letter letter;
    if (left < sizeof(letter)) return damaged();
    mail_.read(taken_, &letter, sizeof(letter));
    const bool small = letter.number == 0;
    const Bytes payload = small ? letter.bytes : 0;
    if (small && (payload == 0 || payload > small_message(mail_.size))) return damaged();
    if (letter_room(payload) > left) return damaged();
    const auto wanted = std::find_if(wanted_.begin(), wanted_.end(),
                                     [&](const plugins::Message& each) { return each.tag == letter.tag; });
    if (wanted == wanted_.end()) {
      if (early_bytes_ + letter_room(payload) > early_limit_) break;  // it stays in the ring, and holds the sender up
      Early early{letter, std::vector<std::byte>(payload)};
      mail_.read(taken_ + sizeof(letter), early.payload.data(), payload);
      early_bytes_ += letter_room(payload);
      early_.push_back(std::move(early));
    } else {
      WEFT_TRY(check_length(letter, *wanted));
      if (small) {
        mail_.read(taken_ + sizeof(letter), wanted->data.data, payload);
        done.push_back(wanted->ticket);
      } else {
        pulls_.push_back({letter.number, *wanted});
      }
      wanted_.erase(wanted);
    }
    taken_ += letter_room(payload);
    left -= letter_room(payload);
  }
  if (taken_ != before) channel_->taken.store(taken_, std::memory_order_seq_cst);
  return taken_ != before;
}

Result<bool> Inbox::pull_bulk(std::vector<std::uint64_t>& done) {
  bool moved = false;
  while (!pulls_.empty()) {
    Pull& pull = pulls_.front();
    if (granted_ != pull.number) {
      granted_ = pull.number;
      channel_->granted.store(granted_, std::memory_order_seq_cst);
      moved = true;
    }
    const Bytes there = channel_->pushed.load(std::memory_order_seq_cst) - pulled_;
    const Bytes left = pull.message.data.size - pull.taken;
    if (there > bulk_.size || there > left) return damaged();  // the next one is pushed only when it is granted
    if (there == 0) break;
    bulk_.read(pulled_, pull.message.data.as<std::byte>() + pull.taken, there);
    pull.taken += there;
    pulled_ += there;
    channel_->pulled.store(pulled_, std::memory_order_seq_cst);
    moved = true;
    if (pull.taken < pull.message.data.size) continue;
    done.push_back(pull.message.ticket);
    pulls_.pop_front();
  }
  return moved;
}

}  // namespace weft::comm_shm
