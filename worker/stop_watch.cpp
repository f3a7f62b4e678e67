#include "worker/stop_watch.h"

namespace weft::worker {

Status StopWatch::add(const Request& request) {
  if (request.stop.stop_strings.empty()) return {};
  if (tokenizer_ == nullptr) {
    WEFT_ASSIGN_CONTEXT(tokenizer, text::Tokenizer::load(model_directory_), "stop strings need the model's tokenizer");
    tokenizer_ = std::move(tokenizer);
  }
  Watched watched{.stream = text::Detokenizer(tokenizer_, true),
                  .strings = request.stop.stop_strings,
                  .text = {},
                  .unwatched = request.stop.min_tokens - static_cast<std::int32_t>(request.emitted.size())};
  for (const TokenId token : request.emitted)
    watched.text += watched.stream.push(token);
  watched_.insert_or_assign(request.id, std::move(watched));
  return {};
}

std::optional<StopMatch> StopWatch::push(RequestId request, std::span<const TokenId> tokens, bool last) {
  const auto found = watched_.find(request);
  if (found == watched_.end()) return std::nullopt;
  Watched& watched = found->second;
  std::size_t seen = watched.text.size();
  for (const TokenId token : tokens) {
    watched.text += watched.stream.push(token);
    if (watched.unwatched > 0) {
      --watched.unwatched;
      seen = watched.text.size();
    }
  }
  if (last && watched.unwatched <= 0) watched.text += watched.stream.finish();
  return find(watched, seen);
}

// The earliest of those that end behind `seen`: they may have begun before it.
std::optional<StopMatch> StopWatch::find(const Watched& watched, std::size_t seen) {
  std::optional<StopMatch> best;
  if (seen == watched.text.size()) return best;
  for (const std::string& text : watched.strings) {
    const std::size_t at = watched.text.find(text, seen >= text.size() ? seen - text.size() + 1 : 0);
    if (at == std::string::npos) continue;
    if (!best || at < static_cast<std::size_t>(best->text_offset))
      best = StopMatch{.matched = text, .text_offset = static_cast<std::int32_t>(at)};
  }
  return best;
}

}  // namespace weft::worker
