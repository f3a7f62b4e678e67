#include "core/wire/link_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/wire/convert.h"

namespace weft::wire {
namespace {

LinkState::Received broken(std::string message) {
  return {.verdict = LinkState::Verdict::broken,
          .why = {.code = ErrorCode::data_loss, .message = std::move(message), .retryable = false}};
}

}  // namespace

std::string_view body_name(const Envelope& envelope) {
  const auto* field = Envelope::descriptor()->FindFieldByNumber(envelope.body_case());
  return field == nullptr ? std::string_view("nothing") : std::string_view(field->name());
}

bool is_user_body(const Envelope& envelope) {
  switch (envelope.body_case()) {
    case Envelope::kOpen:
    case Envelope::kOpened:
    case Envelope::kRefused:
    case Envelope::kCreditOnly:
    case Envelope::kBye:
    case Envelope::BODY_NOT_SET: return false;
    default: return true;
  }
}

LinkState::LinkState(Settings settings)
    : incarnation_(settings.incarnation),
      epoch_(settings.epoch),
      window_(settings.window),
      granted_(settings.window),
      may_send_(settings.peer_credit) {}

LinkState::Received LinkState::receive(const Envelope& envelope) {
  const auto body = envelope.body_case();
  if (body == Envelope::kOpen || body == Envelope::kOpened) {
    return {.verdict = Verdict::drop,
            .why = {.code = ErrorCode::failed_precondition,
                    .message = fmt::format("{} on a link that is open", body_name(envelope)),
                    .retryable = false}};
  }
  if (envelope.link_epoch() != epoch_) {
    return broken(
        fmt::format("{} of link epoch {:x}, expected {:x}", body_name(envelope), envelope.link_epoch(), epoch_));
  }
  if (envelope.incarnation() != incarnation_) {
    return broken(
        fmt::format("{} of incarnation {}, expected {}", body_name(envelope), envelope.incarnation(), incarnation_));
  }
  may_send_ = std::max(may_send_, envelope.credit());
  if (!is_user_body(envelope) && body != Envelope::BODY_NOT_SET) return receive_uncounted(envelope);

  if (envelope.sequence() != received_ + 1) {
    return broken(fmt::format("{} with sequence {}, expected {}: messages are missing", body_name(envelope),
                              envelope.sequence(), received_ + 1));
  }
  if (envelope.sequence() > granted_) {
    return broken(
        fmt::format("{} with sequence {}, but credit ends at {}", body_name(envelope), envelope.sequence(), granted_));
  }
  ++received_;
  if (body != Envelope::BODY_NOT_SET) return {.verdict = Verdict::deliver, .why = {}};
  return {.verdict = Verdict::drop,
          .why = {.code = ErrorCode::unimplemented,
                  .message = fmt::format("message {} has a body that this version does not know", received_),
                  .retryable = false}};
}

LinkState::Received LinkState::receive_uncounted(const Envelope& envelope) {
  if (envelope.sequence() != received_) {
    return broken(fmt::format("{} after sequence {}, expected {}: messages are missing", body_name(envelope),
                              envelope.sequence(), received_));
  }
  if (envelope.has_bye()) {
    return {.verdict = Verdict::peer_end,
            .why = {.code = ErrorCode::cancelled, .message = envelope.bye().reason(), .retryable = false}};
  }
  if (envelope.has_refused()) {
    return {.verdict = Verdict::peer_end, .why = from_wire(envelope.refused().error())};
  }
  return {};
}

void LinkState::stamp(Envelope& envelope, std::uint64_t sequence) {
  granted_ = received_ + window_;
  envelope.set_incarnation(incarnation_);
  envelope.set_link_epoch(epoch_);
  envelope.set_sequence(sequence);
  envelope.set_credit(granted_);
}

bool LinkState::next(Envelope& out) {
  if (queue_.empty() || sent_ >= may_send_) return false;
  out = std::move(queue_.front());
  queue_.pop_front();
  stamp(out, ++sent_);
  return true;
}

Envelope LinkState::credit() {
  Envelope out;
  out.mutable_credit_only();
  stamp(out, sent_);
  return out;
}

Envelope LinkState::bye(std::string_view reason) {
  Envelope out;
  out.mutable_bye()->set_reason(to_utf8(reason));
  stamp(out, sent_);
  return out;
}

Envelope LinkState::refused(const Error& why) {
  Envelope out;
  *out.mutable_refused()->mutable_error() = to_wire(why);
  stamp(out, sent_);
  return out;
}

}  // namespace weft::wire
