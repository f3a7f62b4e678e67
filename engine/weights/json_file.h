// JSON files of a model's directory, read within bounds.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "weft/buffer.h"
#include "weft/status.h"

namespace weft::engine {

// The deepest nesting accepted; what models write stays under ten.
inline constexpr int max_json_depth = 64;

// Parses `text`, an object at its top. invalid_argument or data_loss, with the byte at which reading stopped;
// messages begin with `label`.
Result<nlohmann::json> parse_json_object(std::string_view text, std::string_view label);

// The same for a file of at most `limit` bytes. Messages begin with the file's name without its folders.
Result<nlohmann::json> read_json_file(const std::string& path, Bytes limit);

// A string of a file as it may stand in a message: quoted with ', at most 100 bytes, nothing but printable
// ASCII and well-formed UTF-8 left to the terminal.
std::string in_quotes(std::string_view text);

}  // namespace weft::engine
