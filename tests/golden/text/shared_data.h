// Where the shared goldens lie: WEFT_SHARED, else ../shared beside the checkout. Tests skip without them.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "text/json.h"

namespace weft::text {

inline std::string shared_path(const std::string& below) {
  const char* set = std::getenv("WEFT_SHARED");
  const std::filesystem::path root =
      set != nullptr ? std::filesystem::path(set) : std::filesystem::path(WEFT_SOURCE_DIR) / ".." / "shared";
  return (root / below).string();
}

inline OrderedJson shared_json(const std::string& below) {
  const auto text = read_file(shared_path(below), 64u << 20);
  EXPECT_TRUE(text) << text.error().message;
  const auto parsed = text ? parse_ordered_json(*text) : tl::unexpected<Error>(text.error());
  EXPECT_TRUE(parsed) << parsed.error().message;
  return parsed ? *parsed : OrderedJson();
}

#define WEFT_SKIP_WITHOUT(below)                                  \
  if (!std::filesystem::exists(::weft::text::shared_path(below))) \
  GTEST_SKIP() << "skipped: no shared data (" << (below) << ")"

}  // namespace weft::text
