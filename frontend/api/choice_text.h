// What a choice says, and where its tokens stand in it. Pure.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "frontend/api/api_request.h"

namespace weft::frontend {

struct ChoiceText {
  std::string text;
  // Characters (not bytes) of `text` before each token: of the prompt's where it is echoed, then of the generated ones.
  std::vector<std::size_t> offsets;
};

// An echoed prompt that was text is that text; ids are decoded. Special tokens have no text. What ended the choice, a stop
// string or an id, is left out unless include_stop_str_in_output. Without a tokenizer there is no text.
ChoiceText choice_text(const ApiRequest& request, std::span<const TokenId> prompt, const ChoiceAnswer& choice,
                       const std::shared_ptr<const text::Tokenizer>& tokenizer);

}  // namespace weft::frontend
