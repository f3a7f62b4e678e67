// The prompt of a body, in the forms that OpenAI's API has.
#pragma once

#include "frontend/api/api_request.h"
#include "frontend/api/fields.h"

namespace weft::frontend {

using Prompt = decltype(ApiRequest::prompt);

// chat_completions: `messages`, a list that is not empty of {"role", "content", ...}; a content that is a list of text
// parts becomes their texts with newlines between them. completions: `prompt`, text, ids, or a list of exactly one text
// or of exactly one list of ids.
Result<Prompt> parse_prompt(Endpoint endpoint, const Fields& body);

}  // namespace weft::frontend
