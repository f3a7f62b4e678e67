#include "text/tokenizer/pretokenizer.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "text/tokenizer/json_fields.h"
#include "text/tokenizer/regex.h"
#include "text/tokenizer/split_behavior.h"
#include "text/utf8.h"

namespace weft::text {
namespace {

using nlohmann::json;

// Finds the matches of a step's pattern in one piece.
using Finder = std::function<Status(std::string_view text, Range range, std::vector<Range>& matches)>;

Status split_pieces(Pieces& pieces, const Finder& find, SplitBehavior behavior, bool invert) {
  std::vector<Range> cut;
  std::vector<Range> matches;
  cut.reserve(pieces.ranges.size());
  for (const Range& range : pieces.ranges) {
    matches.clear();
    WEFT_TRY(find(pieces.text, range, matches));
    split_at(range, matches, behavior, invert, cut);
  }
  pieces.ranges.swap(cut);
  return {};
}

// Runs of characters that `belongs` accepts, or each such character on its own.
template <class Predicate>
Finder find_characters(Predicate belongs, bool each) {
  return [=](std::string_view text, Range range, std::vector<Range>& matches) -> Status {
    bool joined = false;
    for (std::uint32_t at = range.begin; at < range.end;) {
      const auto [c, length] = code_point_at(text, at);
      const auto end = static_cast<std::uint32_t>(at + length);
      if (!belongs(c)) {
        joined = false;
      } else if (joined && !each) {
        matches.back().end = end;
      } else {
        matches.push_back({at, end});
        joined = true;
      }
      at = end;
    }
    return {};
  };
}

Finder find_string(std::string wanted) {
  return [wanted = std::move(wanted)](std::string_view text, Range range, std::vector<Range>& matches) -> Status {
    const std::string_view part = text.substr(0, range.end);
    for (std::size_t at = part.find(wanted, range.begin); at != std::string_view::npos;
         at = part.find(wanted, at + wanted.size()))
      matches.push_back({static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(at + wanted.size())});
    return {};
  };
}

Finder find_expression(Expression expression) {
  return [expression](std::string_view text, Range range, std::vector<Range>& matches) -> Status {
    scan(expression, text, range, matches);
    return {};
  };
}

Result<Finder> finder_of(const Pattern& pattern) {
  if (!pattern.regex) {
    if (pattern.text.empty()) return fail(ErrorCode::invalid_argument, "pattern: an empty String");
    return find_string(pattern.text);
  }
  if (const auto known = known_expression(pattern.text)) return find_expression(*known);
  WEFT_ASSIGN(regex, Regex::compile(pattern.text));
  return Finder([regex](std::string_view text, Range range, std::vector<Range>& matches) {
    return regex.find_all(text, range, matches);
  });
}

// Rewrites every piece: `rewrite(index, piece, out)` appends what it becomes.
template <class Rewrite>
void rewrite_pieces(Pieces& pieces, Rewrite rewrite) {
  // What an earlier step removed in front of the first piece keeps it from being the input's first.
  if (!pieces.ranges.empty() && pieces.ranges[0].begin != 0) pieces.starts_input = false;
  std::string text;
  text.reserve(pieces.text.size() + 16);
  for (std::size_t i = 0; i < pieces.ranges.size(); ++i) {
    const auto begin = static_cast<std::uint32_t>(text.size());
    rewrite(i, pieces[pieces.ranges[i]], text);
    pieces.ranges[i] = {begin, static_cast<std::uint32_t>(text.size())};
  }
  pieces.storage.swap(text);
  pieces.text = pieces.storage;
}

}  // namespace

Result<PreTokenizer> PreTokenizer::from_json(const json& part) {
  PreTokenizer made;
  if (!part.is_null()) WEFT_TRY(made.add(part, 0));
  return made;
}

Status PreTokenizer::split(Pieces& pieces) const {
  for (const Step& step : steps_)
    WEFT_TRY(step(pieces));
  return {};
}

Status PreTokenizer::add(const json& part, int depth) {
  WEFT_ASSIGN(type, type_of(part));
  if (byte_level_)
    return fail(ErrorCode::unimplemented, fmt::format("'{}' after 'ByteLevel', which must be last", shorten(type)));
  const auto simple = [&](Finder find, SplitBehavior behavior) -> Status {
    steps_.push_back(
        [find = std::move(find), behavior](Pieces& pieces) { return split_pieces(pieces, find, behavior, false); });
    return {};
  };
  if (type == "Sequence") {
    if (depth >= deepest_sequence)
      return fail(ErrorCode::invalid_argument, fmt::format("Sequence nested deeper than {}", deepest_sequence));
    WEFT_ASSIGN(parts, array_field(part, "pretokenizers"));
    for (const json& inner : *parts)
      WEFT_TRY(add(inner, depth + 1));
    return {};
  }
  if (type == "ByteLevel") return add_byte_level(part);
  if (type == "Split") return add_split(part);
  if (type == "Metaspace") return add_metaspace(part);
  if (type == "Digits") {
    WEFT_ASSIGN(individual, bool_field(part, "individual_digits", false));
    return simple(find_characters(is_number, individual),
                  individual ? SplitBehavior::isolated : SplitBehavior::contiguous);
  }
  if (type == "Punctuation") {
    WEFT_ASSIGN(name, string_field(part, "behavior", "Isolated"));
    WEFT_ASSIGN(behavior, split_behavior(name));
    return simple(find_characters(is_punctuation, true), behavior);
  }
  if (type == "WhitespaceSplit") return simple(find_characters(is_space, true), SplitBehavior::removed);
  if (type == "Whitespace") {  // \w+|[^\w\s]+, what is between removed
    WEFT_TRY(simple(find_characters(is_space, true), SplitBehavior::removed));
    return simple(find_characters(is_word, false), SplitBehavior::isolated);
  }
  return fail(ErrorCode::unimplemented,
              fmt::format("unknown kind '{}'; expected Sequence, ByteLevel, Split, Metaspace, Digits, Punctuation, "
                          "Whitespace or WhitespaceSplit",
                          shorten(type)));
}

Status PreTokenizer::add_byte_level(const json& part) {
  WEFT_ASSIGN(add_space, bool_field(part, "add_prefix_space", true));
  WEFT_ASSIGN(use_regex, bool_field(part, "use_regex", true));
  if (add_space)
    steps_.push_back([](Pieces& pieces) -> Status {
      rewrite_pieces(pieces, [](std::size_t, std::string_view piece, std::string& out) {
        if (!piece.starts_with(' ')) out.push_back(' ');
        out.append(piece);
      });
      return {};
    });
  if (use_regex)
    steps_.push_back([find = find_expression(Expression::gpt2)](Pieces& pieces) {
      return split_pieces(pieces, find, SplitBehavior::isolated, false);
    });
  byte_level_ = true;
  return {};
}

Status PreTokenizer::add_split(const json& part) {
  WEFT_ASSIGN(pattern, pattern_field(part));
  WEFT_ASSIGN(name, string_field(part, "behavior", ""));
  WEFT_ASSIGN(behavior, split_behavior(name));
  WEFT_ASSIGN(invert, bool_field(part, "invert", false));
  WEFT_ASSIGN(find, finder_of(pattern));
  steps_.push_back([find = std::move(find), behavior = behavior, invert = invert](Pieces& pieces) {
    return split_pieces(pieces, find, behavior, invert);
  });
  return {};
}

Status PreTokenizer::add_metaspace(const json& part) {
  WEFT_ASSIGN(replacement, string_field(part, "replacement", "\xE2\x96\x81"));
  WEFT_ASSIGN(old_prefix, bool_field(part, "add_prefix_space", true));  // before tokenizers 0.14
  WEFT_ASSIGN(scheme, string_field(part, "prepend_scheme", old_prefix ? "always" : "never"));
  WEFT_ASSIGN(cut, bool_field(part, "split", true));
  if (count_characters(replacement) != 1)
    return fail(ErrorCode::invalid_argument,
                fmt::format("replacement '{}': expected one character", shorten(replacement)));
  if (scheme != "always" && scheme != "first" && scheme != "never")
    return fail(ErrorCode::unimplemented,
                fmt::format("prepend_scheme '{}'; expected always, first or never", shorten(scheme)));
  steps_.push_back([replacement = replacement, scheme = scheme](Pieces& pieces) -> Status {
    rewrite_pieces(pieces, [&](std::size_t index, std::string_view piece, std::string& out) {
      const bool here = scheme == "always" || (scheme == "first" && index == 0 && pieces.starts_input);
      if (here && !piece.starts_with(' ') && !piece.starts_with(replacement)) out.append(replacement);
      for (const char c : piece) {
        if (c == ' ')
          out.append(replacement);
        else
          out.push_back(c);
      }
    });
    return {};
  });
  if (cut)
    steps_.push_back([find = find_string(replacement)](Pieces& pieces) {
      return split_pieces(pieces, find, SplitBehavior::merged_with_next, false);
    });
  return {};
}

}  // namespace weft::text
