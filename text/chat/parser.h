// Template text -> Program. The grammar is Jinja's (its parser.py is the reference; nothing is taken from it).
#pragma once

#include <memory>
#include <string_view>

#include "text/chat/ast.h"
#include "weft/status.h"

namespace weft::text::jinja {

// invalid_argument, "line:column: message", for what is not a template; also for one that nests too deep.
Result<std::shared_ptr<const Program>> parse(std::string_view source);

}  // namespace weft::text::jinja
