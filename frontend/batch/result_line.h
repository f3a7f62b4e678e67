// The output's lines. Pure.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "weft/status.h"

namespace weft::frontend {

// {"id": "weft-<line>", "custom_id", "response": {"status_code": 200, "request_id", "body"}, "error": null}, with the newline.
std::string answer_line(std::int64_t line, const std::string& custom_id, nlohmann::ordered_json body);
// The same with status 400 (500 for a fault of ours), OpenAI's error object as the body, and "error": {"code", "message"}.
std::string error_line(std::int64_t line, const std::string& custom_id, const Error& error);

struct ResultHead {
  std::int64_t line = 0;  // of the input
  bool failed = false;    // it holds an error
};
// Out of a line of the output. data_loss says what is wrong with it.
Result<ResultHead> head_of_result(std::string_view text);

}  // namespace weft::frontend
