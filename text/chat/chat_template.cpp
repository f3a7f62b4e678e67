#include "text/chat/chat_template.h"

#include <fmt/format.h>

#include <utility>

#include "text/chat/interpreter.h"
#include "text/chat/parser.h"

namespace weft::text {

Result<ChatTemplate> ChatTemplate::compile(std::string_view source) {
  WEFT_ASSIGN(program, jinja::parse(source));
  ChatTemplate made;
  made.program_ = std::move(program);
  return made;
}

Result<std::string> ChatTemplate::render(const OrderedJson& variables, const RenderLimits& limits) const {
  if (!variables.is_object())
    return fail(ErrorCode::invalid_argument,
                fmt::format("chat template: its variables are {}, expected an object", kind_of(variables.type())));
  jinja::Interpreter interpreter(*program_, variables, limits);
  try {
    return interpreter.run();
  } catch (const jinja::Fault& error) {
    const std::string where = jinja::position(*program_, interpreter.failed_at());
    const auto message = interpreter.failed_message();
    return fail(error.code, fmt::format("chat template, {}{}: {}", where,
                                        message ? fmt::format(", at messages[{}]", *message) : "", error.message));
  }
}

}  // namespace weft::text
