// One line of the input as a request: OpenAI's batch lines and the short form. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "frontend/api/api_request.h"
#include "weft/status.h"

namespace weft::frontend {

struct BatchLine {
  std::string custom_id;       // "line-N" where the line names none
  bool has_custom_id = false;  // false: the line cannot be read so far
  Result<ApiRequest> request;  // or the line's permanent error
};

// {"custom_id", "method": "POST", "url": "/v1/chat/completions" | "/v1/completions", "body": {...}}, or the short form
// {"custom_id", "messages" | "prompt", ...}, whose other keys are the body's.
BatchLine parse_batch_line(std::int64_t number, std::string_view text, const GenerationDefaults& defaults,
                           std::int32_t default_max_tokens);

// Which line had a custom_id first. Holds 64-bit hashes (XXH3), so that its memory does not grow with the ids' length.
class CustomIds {
 public:
  // The first line that had it: `number` itself where none had.
  std::int64_t first_line(std::string_view custom_id, std::int64_t number);

 private:
  std::unordered_map<std::uint64_t, std::int64_t> first_;
};

}  // namespace weft::frontend
