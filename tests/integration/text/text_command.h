// `weft tokenize`, `detokenize` and `template`: the built program, its standard input a file.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace weft::test {

using Json = nlohmann::json;

struct TextOutput {
  int code = -1;
  std::vector<Json> lines;  // of standard output, those that are JSON objects
  std::string out;
  std::string err;
};

// `weft ARGUMENTS... < input`.
TextOutput run_text_command(const std::vector<std::string>& arguments, const std::string& input);

inline constexpr const char* bundled_model = WEFT_SOURCE_DIR "/models/weft-tiny";

}  // namespace weft::test
