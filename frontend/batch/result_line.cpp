#include "frontend/batch/result_line.h"

#include <fmt/format.h>

#include <charconv>

#include "frontend/api/api_request.h"
#include "text/json.h"

namespace weft::frontend {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view id_prefix = "weft-";

std::string to_line(std::int64_t line, const std::string& custom_id, int status, Json body, Json error) {
  Json response;
  response["status_code"] = status;
  response["request_id"] = fmt::format("req-{}", line);
  response["body"] = std::move(body);
  Json result;
  result["id"] = fmt::format("{}{}", id_prefix, line);
  result["custom_id"] = custom_id;
  result["response"] = std::move(response);
  result["error"] = std::move(error);
  return result.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string answer_line(std::int64_t line, const std::string& custom_id, Json body) {
  return to_line(line, custom_id, 200, std::move(body), nullptr);
}

std::string error_line(std::int64_t line, const std::string& custom_id, const Error& error) {
  const bool ours = error.code == ErrorCode::internal || error.code == ErrorCode::data_loss;
  Json brief;
  brief["code"] = to_string(error.code);
  brief["message"] = error.message;
  return to_line(line, custom_id, ours ? 500 : 400, error_body(error), std::move(brief));
}

Result<ResultHead> head_of_result(std::string_view text) {
  const auto result = text::parse_json(text);
  if (!result) return fail(ErrorCode::data_loss, result.error().message);
  const auto id = result->is_object() ? result->find("id") : result->end();
  if (id == result->end() || !id->is_string())
    return fail(ErrorCode::data_loss, "has no 'id', expected \"weft-<line>\"");
  const auto& name = id->get_ref<const std::string&>();
  std::int64_t line = 0;
  const std::string_view digits = std::string_view(name).substr(std::min(id_prefix.size(), name.size()));
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), line);
  if (name.rfind(id_prefix, 0) != 0 || code != std::errc{} || end != digits.data() + digits.size())
    return fail(ErrorCode::data_loss, "has an 'id' of another form than \"weft-<line>\"");
  const auto error = result->find("error");
  return ResultHead{.line = line, .failed = error != result->end() && !error->is_null()};
}

}  // namespace weft::frontend
