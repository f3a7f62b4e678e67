// The special tokens that tokenizer.json's post_processor puts around one text ("single"). Immutable; any
// thread.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "weft/request.h"
#include "weft/status.h"

namespace weft::text {

struct PostProcessor {
  std::vector<TokenId> before;
  std::vector<TokenId> after;

  // tokenizer.json's post_processor, or null. unimplemented names a kind that is not known.
  static Result<PostProcessor> from_json(const nlohmann::json& part);
};

}  // namespace weft::text
