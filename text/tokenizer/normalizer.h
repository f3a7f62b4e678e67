// What a text goes through before it is cut: tokenizer.json's normalizer.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "weft/status.h"

namespace weft::text {

// Immutable; any thread. Valid UTF-8 in, valid UTF-8 out.
class Normalizer {
 public:
  // tokenizer.json's normalizer, or null. unimplemented names a kind that is not known.
  static Result<Normalizer> from_json(const nlohmann::json& part);

  bool empty() const noexcept { return steps_.empty(); }
  Result<std::string> apply(std::string_view text) const;

 private:
  using Step = std::function<Result<std::string>(std::string)>;
  Status add(const nlohmann::json& part, int depth);

  std::vector<Step> steps_;
};

}  // namespace weft::text
