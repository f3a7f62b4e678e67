#include <google/protobuf/stubs/logging.h>

#include "core/wire/convert.h"
#include "core/wire/handshake.h"
#include "core/wire/link_state.h"
#include "tests/fuzz/fuzz_targets.h"
#include "tests/fuzz/targets/promise.h"

namespace weft::fuzz {
namespace {

void check_submit(const wire::Submit& submit) {
  const auto request = wire::from_wire(submit);
  if (!request) return promise_message(request.error());
  promise(request->prompt.size() <= wire::max_prompt_tokens, "a prompt beyond its limit");
  for (const TokenId id : request->prompt)
    promise(id >= 0, "a negative id");
  const auto again = wire::from_wire(wire::to_wire(*request));
  promise(again && again->prompt == request->prompt && again->stop.stop_strings == request->stop.stop_strings,
          "a request that changes on its way");
}

void check_output(const wire::StepOutput& output) {
  const auto updates = wire::from_wire(output);
  if (!updates) return promise_message(updates.error());
  for (const wire::RequestUpdate& update : *updates)
    for (const TokenId id : update.tokens)
      promise(id >= 0, "a negative id");
}

}  // namespace

void fuzz_wire(Input input) {
  // The library logs each string that is not UTF-8, which is most of what it is given here.
  static const auto silent = google::protobuf::SetLogHandler(nullptr);
  static_cast<void>(silent);
  wire::Envelope envelope;
  if (!envelope.ParseFromArray(input.data(), static_cast<int>(input.size()))) return;
  promise(!wire::body_name(envelope).empty(), "a body without a name");
  if (const auto open = wire::check_open(envelope, "token"); !open) promise_message(open.error());
  if (const auto opened = wire::check_opened(envelope, 3); !opened) promise_message(opened.error());
  wire::LinkState link({.incarnation = 3, .epoch = 5, .window = 8, .peer_credit = 8});
  for (int i = 0; i < 3; ++i) {
    const auto received = link.receive(envelope);
    if (received.verdict == wire::LinkState::Verdict::broken) promise_message(received.why);
  }
  if (envelope.has_submit()) check_submit(envelope.submit());
  if (envelope.has_step_output()) check_output(envelope.step_output());
}

}  // namespace weft::fuzz
