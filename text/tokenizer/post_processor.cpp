#include "text/tokenizer/post_processor.h"

#include <fmt/format.h>

#include "text/tokenizer/json_fields.h"

namespace weft::text {
namespace {

using nlohmann::json;

void wrap(PostProcessor& around, const PostProcessor& outer) {
  around.before.insert(around.before.begin(), outer.before.begin(), outer.before.end());
  around.after.insert(around.after.end(), outer.after.begin(), outer.after.end());
}

// special_tokens: {"<s>": {"ids": [1], ...}}
Result<std::vector<TokenId>> ids_of(const json& part, const json& special) {
  WEFT_ASSIGN(name, string_field(special, "id", ""));
  const auto table = part.find("special_tokens");
  if (table == part.end() || !table->is_object() || !table->contains(name))
    return fail(ErrorCode::invalid_argument, fmt::format("token '{}' is not among special_tokens", shorten(name)));
  WEFT_ASSIGN_CONTEXT(list, array_field(table->at(name), "ids"), fmt::format("special_tokens '{}'", shorten(name)));
  std::vector<TokenId> ids;
  for (const json& value : *list) {
    WEFT_ASSIGN(id, token_id(value));
    ids.push_back(id);
  }
  return ids;
}

Result<PostProcessor> read_template(const json& part) {
  WEFT_ASSIGN(items, array_field(part, "single"));
  PostProcessor made;
  bool seen_text = false;
  for (const json& item : *items) {
    if (item.is_object() && item.contains("Sequence")) {
      if (seen_text) return fail(ErrorCode::unimplemented, "single: the text comes twice");
      seen_text = true;
    } else if (item.is_object() && item.contains("SpecialToken")) {
      WEFT_ASSIGN_CONTEXT(ids, ids_of(part, item.at("SpecialToken")), "single");
      auto& side = seen_text ? made.after : made.before;
      side.insert(side.end(), ids.begin(), ids.end());
    } else {
      return fail(ErrorCode::invalid_argument, "single: expected objects with 'Sequence' or 'SpecialToken'");
    }
  }
  if (!seen_text) return fail(ErrorCode::invalid_argument, "single: the text (a Sequence) is missing");
  return made;
}

// RobertaProcessing and BertProcessing: "cls": ["<s>", 0], "sep": ["</s>", 2].
Result<PostProcessor> read_pair(const json& part) {
  PostProcessor made;
  for (const auto& [key, side] : {std::pair("cls", &made.before), std::pair("sep", &made.after)}) {
    WEFT_ASSIGN(pair, array_field(part, key));
    if (pair->size() != 2) return fail(ErrorCode::invalid_argument, fmt::format("{}: expected [token, id]", key));
    WEFT_ASSIGN_CONTEXT(id, token_id((*pair)[1]), key);
    side->push_back(id);
  }
  return made;
}

Status add(PostProcessor& made, const json& part, int depth) {
  WEFT_ASSIGN(type, type_of(part));
  if (type == "ByteLevel") return {};  // moves offsets only
  if (type == "TemplateProcessing") {
    WEFT_ASSIGN_CONTEXT(outer, read_template(part), type);
    wrap(made, outer);
    return {};
  }
  if (type == "RobertaProcessing" || type == "BertProcessing") {
    WEFT_ASSIGN_CONTEXT(outer, read_pair(part), type);
    wrap(made, outer);
    return {};
  }
  if (type == "Sequence") {
    if (depth >= deepest_sequence)
      return fail(ErrorCode::invalid_argument, fmt::format("Sequence nested deeper than {}", deepest_sequence));
    WEFT_ASSIGN(parts, array_field(part, "processors"));
    for (const json& inner : *parts)
      WEFT_TRY(add(made, inner, depth + 1));
    return {};
  }
  return fail(ErrorCode::unimplemented, fmt::format("unknown kind '{}'; expected TemplateProcessing, ByteLevel, "
                                                    "RobertaProcessing, BertProcessing or Sequence",
                                                    shorten(type)));
}

}  // namespace

Result<PostProcessor> PostProcessor::from_json(const json& part) {
  PostProcessor made;
  if (!part.is_null()) WEFT_TRY(add(made, part, 0));
  return made;
}

}  // namespace weft::text
