// A lane: a stretch of the input, read ahead by at most a window, and the order in which its requests are submitted.
// The shared queue is one lane over the whole input, longest request first; static distribution is a lane a replica.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "frontend/api/api_request.h"
#include "frontend/batch/input_file.h"
#include "frontend/batch/line_reader.h"
#include "weft/load_balancer.h"

namespace weft::frontend {

// A request that waits for a replica.
struct Pending {
  std::int64_t line = 0;
  std::string custom_id;
  ApiRequest api;   // without its prompt, which `request` has as tokens, unless its text is to be echoed
  Request request;  // without an id; `choice` is the next one to submit
};

struct LaneOptions {
  std::optional<ReplicaId> replica;  // static distribution: where all of it goes
  std::int64_t first_line = 1;
  std::int64_t last_line = 0;  // inclusive
  std::size_t window = 1;      // requests read ahead
  bool longest_first = true;   // by prompt + max_tokens, ties by line; else in input order
};

class Lane {
 public:
  static Result<Lane> open(LaneOptions options, const InputFile& input);

  // The next line of the stretch that is not blank. Nothing at its end, or where the file has become shorter.
  Result<std::optional<Line>> next_line();
  void push(Pending pending);
  Pending pop();  // the one to submit next; waiting() > 0

  std::optional<ReplicaId> replica() const noexcept { return options_.replica; }
  std::size_t waiting() const noexcept { return queue_.size(); }
  bool at_end() const noexcept { return at_end_; }
  bool has_space() const noexcept { return !at_end_ && queue_.size() < options_.window; }

 private:
  Lane(LaneOptions options, LineReader reader);

  LaneOptions options_;
  LineReader reader_;
  bool at_end_ = false;
  std::map<std::pair<std::int64_t, std::int64_t>, Pending> queue_;  // by (-tokens or 0, line)
};

}  // namespace weft::frontend
