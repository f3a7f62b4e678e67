#include <string>

#include "tests/fuzz/fuzz_targets.h"
#include "tests/fuzz/targets/promise.h"
#include "text/tokenizer/tokenizer.h"

namespace weft::fuzz {
namespace {

constexpr std::string_view sample =
    "Hello  WORLD, it's 1234 x\n\n\tabba<end> \xC3\xBC\xE6\x97\xA5\xE6\x9C\xAC\xF0\x9F\x99\x82 e\xCC\x81 <unk>ab ";

}  // namespace

void fuzz_tokenizer(Input input) {
  const auto made = text::Tokenizer::from_json(as_text(input));
  if (!made) return promise_message(made.error());
  const auto ids = (*made)->encode(sample, true);
  if (!ids) return promise_message(ids.error());
  std::vector<TokenId> all = *ids;
  for (TokenId id = -1; id < 8; ++id)
    all.push_back(id);
  for (const TokenId id : *ids)
    promise(id >= 0 && static_cast<std::size_t>(id) < (*made)->vocabulary_size(), "an id beyond the vocabulary");
  for (const bool skip : {false, true}) {
    const std::string whole = (*made)->decode(all, skip);
    promise(!text::first_invalid_utf8(whole), "decoded text is not UTF-8");
    text::Detokenizer stream(*made, skip);
    std::string streamed;
    for (const TokenId id : all)
      streamed += stream.push(id);
    promise(streamed + stream.finish() == whole, "streamed text differs from decoded text");
  }
}

}  // namespace weft::fuzz
