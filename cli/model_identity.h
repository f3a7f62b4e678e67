// A fingerprint of all that makes a model's answers what they are, for the sidecar of a batch's output.
#pragma once

#include <string>

#include "cli/setup.h"

namespace weft::cli {

// Shape, dtype, limits and sampling defaults in words, then a hash over the directory's small files (configurations,
// tokenizer, chat template), whole, and over each weights file's size and evenly spread samples of it: another
// checkpoint of the same shape is told apart within milliseconds, a few changed bytes of a large file may not be. Where,
// or on how many copies, the answers are made is not in it.
std::string model_identity(const Setup& setup);

}  // namespace weft::cli
