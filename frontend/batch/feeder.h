// From the input to requests that wait in lanes: reads, numbers, checks and tokenises. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "frontend/batch/batch_line.h"
#include "frontend/batch/batch_run.h"
#include "frontend/batch/input_file.h"
#include "frontend/batch/lane.h"

namespace weft::frontend {

// A line whose answer is an error, whatever is done.
struct FailedLine {
  std::int64_t line = 0;
  std::string custom_id;
  Error error;
};

class Feeder {
 public:
  // `done`: by line number, those that earlier runs answered. With static distribution the whole input is read once, for
  // the custom_ids that its parts repeat. All arguments outlive the feeder.
  static Result<Feeder> open(const BatchOptions& options, const BatchTools& tools, const InputFile& input,
                             const std::vector<bool>& done);

  std::vector<Lane>& lanes() noexcept { return lanes_; }
  bool at_end() const noexcept;    // all has been read
  bool is_empty() const noexcept;  // and nothing waits

  // Reads until `wanted` requests wait in the lane, or its window is full, or `until`, or its end. Lines that fail are
  // added to `failed`.
  Status read(Lane& lane, std::size_t wanted, Time until, std::vector<FailedLine>& failed);

 private:
  Feeder(const BatchOptions& options, const BatchTools& tools, const std::vector<bool>& done)
      : options_(&options), tools_(&tools), done_(&done) {}
  Status open_lanes(const InputFile& input);
  Status note_custom_ids(const InputFile& input);
  Status check_tokenizer_ids(const ApiRequest& api, const std::vector<TokenId>& prompt) const;
  Result<Request> make_request(const ApiRequest& api) const;
  void take(Lane& lane, const Line& line, std::vector<FailedLine>& failed);

  const BatchOptions* options_;
  const BatchTools* tools_;
  const std::vector<bool>* done_;
  CustomIds custom_ids_;
  std::vector<Lane> lanes_;
};

// Static distribution: equal parts of the lines that are left, in input order, the remainder over the first parts; the
// last line of each part (0: nothing is left for it).
std::vector<std::int64_t> part_ends(const std::vector<bool>& has_request, const std::vector<bool>& done,
                                    std::size_t parts);

}  // namespace weft::frontend
