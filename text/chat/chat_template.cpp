#include "text/chat/chat_template.h"

namespace weft::text {

Result<ChatTemplate> ChatTemplate::compile(std::string_view) {
  return fail(ErrorCode::unimplemented, "chat templates are not in this version");
}

Result<std::string> ChatTemplate::render(const OrderedJson&, const RenderLimits&) const {
  return fail(ErrorCode::unimplemented, "chat templates are not in this version");
}

}  // namespace weft::text
