// Goldens of text as JSON.
#pragma once

#include <string>

#include "tests/support/goldens.h"
#include "text/json.h"

namespace weft::text {

inline OrderedJson shared_json(const std::string& below) {
  const auto text = read_file(test::shared_path(below), 64u << 20);
  EXPECT_TRUE(text) << text.error().message;
  const auto parsed = text ? parse_ordered_json(*text) : tl::unexpected<Error>(text.error());
  EXPECT_TRUE(parsed) << parsed.error().message;
  return parsed ? *parsed : OrderedJson();
}

}  // namespace weft::text
