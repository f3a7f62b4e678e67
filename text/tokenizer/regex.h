// A regular expression of a tokenizer.json, through PCRE2 with Unicode properties. Immutable; any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/scanner.h"
#include "weft/status.h"

namespace weft::text {

class Regex {
 public:
  // invalid_argument names the offset in the expression and what is wrong there.
  static Result<Regex> compile(const std::string& expression);

  // All non-empty matches within `range`, in order, as if the text were that range alone. resource_exhausted
  // where the expression backtracks beyond all measure.
  Status find_all(std::string_view text, Range range, std::vector<Range>& out) const;

 private:
  std::shared_ptr<void> code_;  // pcre2_code; shared because a Regex lies in copyable std::functions
};

}  // namespace weft::text
