#include "text/tokenizer/regex.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace weft::text {
namespace {

constexpr std::size_t longest_expression = 64 * 1024;
// Far above what any sensible expression needs, far below what would hang a server.
constexpr std::uint32_t match_limit = 10'000'000;
constexpr std::uint32_t heap_limit_kib = 256 * 1024;

std::string describe(int code) {
  std::array<PCRE2_UCHAR, 256> buffer{};
  pcre2_get_error_message(code, buffer.data(), buffer.size());
  return reinterpret_cast<const char*>(buffer.data());
}

struct MatchContext {
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_match_data* data = pcre2_match_data_create(1, nullptr);
  MatchContext() {
    pcre2_set_match_limit(context, match_limit);
    pcre2_set_heap_limit(context, heap_limit_kib);
  }
  MatchContext(const MatchContext&) = delete;
  MatchContext& operator=(const MatchContext&) = delete;
  ~MatchContext() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
  }
};

}  // namespace

Result<Regex> Regex::compile(const std::string& expression) {
  if (expression.size() > longest_expression)
    return fail(ErrorCode::invalid_argument, fmt::format("a regular expression of {} bytes, expected at most {}",
                                                         expression.size(), longest_expression));
  int code = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* compiled = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(),
                                       PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &code, &offset, nullptr);
  if (compiled == nullptr)
    return fail(ErrorCode::invalid_argument,
                fmt::format("regular expression: {} at offset {} of '{}'", describe(code), offset,
                            expression.size() > 200 ? expression.substr(0, 200) + "..." : expression));
  pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE);  // without it, matching is slower and no different
  Regex regex;
  regex.code_ =
      std::shared_ptr<void>(compiled, [](void* pointer) { pcre2_code_free(static_cast<pcre2_code*>(pointer)); });
  return regex;
}

Status Regex::find_all(std::string_view text, Range range, std::vector<Range>& out) const {
  const std::string_view part = text.substr(range.begin, range.end - range.begin);
  const auto subject = reinterpret_cast<PCRE2_SPTR>(part.data());
  const auto* code = static_cast<const pcre2_code*>(code_.get());
  const MatchContext match;
  for (PCRE2_SIZE at = 0; at < part.size();) {
    int found = pcre2_match(code, subject, part.size(), at, PCRE2_NO_UTF_CHECK, match.data, match.context);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT)
      found = pcre2_match(code, subject, part.size(), at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, match.data, match.context);
    if (found == PCRE2_ERROR_NOMATCH) return {};
    if (found < 0)
      return fail(ErrorCode::resource_exhausted,
                  fmt::format("pre-tokenizer's regular expression at byte {}: {}", range.begin + at, describe(found)));
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(match.data);
    if (ends[1] > ends[0]) {
      out.push_back(
          {static_cast<std::uint32_t>(range.begin + ends[0]), static_cast<std::uint32_t>(range.begin + ends[1])});
      at = ends[1];
    } else {
      at = std::max(at, ends[1]) + 1;
      while (at < part.size() && (static_cast<unsigned char>(part[at]) & 0xC0) == 0x80)
        ++at;
    }
  }
  return {};
}

}  // namespace weft::text
