// Stop strings of running requests: the leader decodes such a request's tokens as they come and looks for its strings,
// wherever they fall over token borders.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "text/tokenizer/tokenizer.h"
#include "weft/request.h"

namespace weft::worker {

struct StopMatch {
  std::string matched;
  std::int32_t text_offset = 0;  // bytes of the request's text before it
};

class StopWatch {
 public:
  explicit StopWatch(std::string model_directory) : model_directory_(std::move(model_directory)) {}

  // Begins to watch a request with stop strings; loads the tokenizer at the first one.
  Status add(const Request& request);
  // The earliest match once these tokens are there; nullopt for none, and for requests that are not watched. `last`: no
  // token follows, so text that was held back for one counts too.
  std::optional<StopMatch> push(RequestId request, std::span<const TokenId> tokens, bool last);
  void remove(RequestId request) { watched_.erase(request); }

 private:
  struct Watched {
    text::Detokenizer stream;
    std::vector<std::string> strings;
    std::string text;  // all of it so far
    std::int32_t unwatched =
        0;  // tokens of StopConditions::min_tokens still to come: a string that they end stops nothing
  };
  static std::optional<StopMatch> find(const Watched& watched, std::size_t seen);

  const std::string model_directory_;
  std::shared_ptr<const text::Tokenizer> tokenizer_;  // shared with the streams, which keep it alive
  std::unordered_map<RequestId, Watched> watched_;
};

}  // namespace weft::worker
