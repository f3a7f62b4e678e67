#include "worker/stop_watch.h"

#include <algorithm>

namespace weft::worker {

Status StopWatch::add(const Request& request) {
  if (request.stop.stop_strings.empty()) return {};
  if (tokenizer_ == nullptr) {
    WEFT_ASSIGN_CONTEXT(tokenizer, text::Tokenizer::load(model_directory_), "stop strings need the model's tokenizer");
    tokenizer_ = std::move(tokenizer);
  }
  Watched watched{.stream = text::Detokenizer(tokenizer_, true), .strings = request.stop.stop_strings, .text = {}};
  for (const TokenId token : request.emitted)
    watched.text += watched.stream.push(token);
  watched_.insert_or_assign(request.id, std::move(watched));
  return {};
}

std::optional<StopMatch> StopWatch::push(RequestId request, std::span<const TokenId> tokens) {
  const auto found = watched_.find(request);
  if (found == watched_.end()) return std::nullopt;
  Watched& watched = found->second;
  std::size_t longest = 0;
  for (const std::string& text : watched.strings)
    longest = std::max(longest, text.size());
  // A match may have begun in what was there: as far back as the longest string reaches.
  const std::size_t from = watched.text.size() >= longest ? watched.text.size() - longest + 1 : 0;
  for (const TokenId token : tokens)
    watched.text += watched.stream.push(token);
  return find(watched, longest == 0 ? watched.text.size() : from);
}

std::optional<StopMatch> StopWatch::find(const Watched& watched, std::size_t from) {
  std::optional<StopMatch> best;
  for (const std::string& text : watched.strings) {
    const std::size_t at = watched.text.find(text, from);
    if (at == std::string::npos) continue;
    if (!best || at < static_cast<std::size_t>(best->text_offset))
      best = StopMatch{.matched = text, .text_offset = static_cast<std::int32_t>(at)};
  }
  return best;
}

}  // namespace weft::worker
