// Between what crosses the wire and what the rest of Weft uses. What comes in is hostile: from_wire() refuses
// ids that are negative, figures that are not numbers, enumerators that do not exist and sizes that no honest
// peer sends. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/wire/messages.pb.h"
#include "weft/logprobs.h"
#include "weft/request.h"
#include "weft/status.h"

namespace weft::wire {

inline constexpr std::size_t max_prompt_tokens = 4u << 20;  // prompt and emitted together
inline constexpr std::size_t max_stop_ids = 4096;
inline constexpr std::size_t max_stop_strings = 256;
inline constexpr std::size_t max_stop_string_bytes = 16u << 10;  // each
inline constexpr std::size_t max_bias_entries = 65536;
inline constexpr std::size_t max_output_tokens = 65536;  // of one request in one step
inline constexpr std::size_t max_outputs = 65536;        // of one step

// `text` with every byte that is no UTF-8 replaced by '?'. proto3 strings that are not UTF-8 make their whole
// message unreadable, so whatever a plugin, a file name or the system may have written goes through this.
std::string to_utf8(std::string_view text);

// Two lower-case digits a byte, for hashes in logs and messages.
std::string to_hexadecimal(std::string_view bytes);

ErrorInfo to_wire(const Error& error);
// An unknown code becomes `internal`.
Error from_wire(const ErrorInfo& info);

Submit to_wire(const Request& request);
// invalid_argument names the field and what was expected.
Result<Request> from_wire(const Submit& submit);

// What one step gave one request.
struct RequestUpdate {
  RequestId request = 0;
  std::vector<TokenId> tokens = {};  // new since the last update
  FinishReason finish_reason = FinishReason::none;
  std::optional<Error> error = {};                        // with finish_reason error
  std::string matched_stop = {};                          // the stop string that ended it
  std::int32_t text_offset = -1;                          // bytes of text before it; -1: none
  std::vector<weft::TokenLogprobs> logprobs = {};         // one for each of `tokens`, where wanted
  std::vector<weft::TokenLogprobs> prompt_logprobs = {};  // of the prompt's next tokens
};

void add_update(const RequestUpdate& update, StepOutput& output);
// invalid_argument names the request and the field.
Result<RequestUpdate> from_wire(const RequestOutput& output);
Result<std::vector<RequestUpdate>> from_wire(const StepOutput& output);

}  // namespace weft::wire
