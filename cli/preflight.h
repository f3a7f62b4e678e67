// What `weft check` tells and `weft run` refuses before anything is started, beyond what a Setup has found: one function for
// both, so that what one calls right the other does not refuse.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/setup.h"
#include "engine/model/runner_spec.h"
#include "frontend/batch/batch_run.h"
#include "weft/status.h"

namespace weft::cli {

struct RankMemory {
  std::int32_t rank = 0;
  std::string node;
  engine::MemoryEstimate bytes;
  Bytes sum() const noexcept { return bytes.weights + bytes.cache + bytes.workspace; }
};
struct NodeMemory {
  std::string node;
  Bytes wanted = 0;  // by its ranks
  Bytes has = 0;     // 0: unknown
};
struct MemoryForecast {
  std::vector<RankMemory> ranks;
  std::vector<NodeMemory> nodes;
  std::vector<std::string> warnings;
  Status verdict;  // resource_exhausted: a node has too little, all of them named
};

// "12.3 MiB": sizes side by side are compared by eye.
std::string mebibytes(Bytes bytes);

// What every rank needs, beside what its node has. Errors are those that a rank would have for its sizes.
Result<MemoryForecast> forecast_memory(const Setup& setup);

// What turns text into tokens and back.
struct TextSide {
  frontend::BatchTools tools;
  std::vector<std::string> notes;     // kinds of prompts that there cannot be: for who asks
  std::vector<std::string> warnings;  // what may well be a mistake: for everyone
};

// Reads tokenizer and chat template. The directory may lack either; what is damaged, and a model.chat_template that is not
// there, is an error that names the file.
Result<TextSide> read_text_side(const Setup& setup);

}  // namespace weft::cli
