// What `weft check` tells and `weft run` refuses before anything is started, beyond what a Setup has found: one function for
// both, so that what one calls right the other does not refuse.
#pragma once

#include <string>
#include <vector>

#include "cli/setup.h"
#include "frontend/batch/batch_run.h"
#include "weft/status.h"

namespace weft::cli {

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
