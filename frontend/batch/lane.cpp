#include "frontend/batch/lane.h"

namespace weft::frontend {

Lane::Lane(LaneOptions options, LineReader reader)
    : options_(options), reader_(std::move(reader)), at_end_(options.first_line > options.last_line) {}

Result<Lane> Lane::open(LaneOptions options, const InputFile& input) {
  WEFT_ASSIGN(reader, input.reader_at(options.first_line));
  return Lane(options, std::move(reader));
}

Result<std::optional<Line>> Lane::next_line() {
  while (!at_end_) {
    WEFT_ASSIGN(line, reader_.next());
    at_end_ = !line || line->number >= options_.last_line;
    if (line && !line->blank()) return line;
  }
  return std::nullopt;
}

void Lane::push(Pending pending) {
  const std::int64_t tokens =
      static_cast<std::int64_t>(pending.request.prompt.size()) + pending.request.stop.max_tokens;
  queue_.emplace(std::pair(options_.longest_first ? -tokens : 0, pending.line), std::move(pending));
}

Pending Lane::pop() {
  Pending pending = std::move(queue_.begin()->second);
  queue_.erase(queue_.begin());
  return pending;
}

}  // namespace weft::frontend
