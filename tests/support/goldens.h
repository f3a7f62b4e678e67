// Reference outputs of others: where they lie, and which there are.
//
// They are found by listing, never by name: what is put beside them in the same layout is tested too.
//   goldens/MODEL/greedy.json, logits.f32   of models/MODEL
//   goldens/chat_templates/*.json, goldens/sampling/*.json
//   tokenizers/NAME/golden.json             beside its tokenizer.json or tokenizer.model
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace weft::test {

// WEFT_SHARED, else ../shared; a relative path counts from the checkout. `below` is a path inside it.
inline std::string shared_path(const std::string& below = "") {
  const char* set = std::getenv("WEFT_SHARED");
  const std::filesystem::path named = set != nullptr && *set != '\0' ? set : "../shared";
  return (std::filesystem::path(WEFT_SOURCE_DIR) / named / below).lexically_normal().string();
}

inline bool has_shared(const std::string& below) {
  std::error_code ignored;
  return std::filesystem::exists(shared_path(below), ignored);
}

// Skips; fails where WEFT_SHARED names a directory that is not there, since somebody counts on it.
#define WEFT_SKIP_WITHOUT_GOLDENS()                                                      \
  do {                                                                                   \
    const char* set_by_user = std::getenv("WEFT_SHARED");                                \
    if (set_by_user != nullptr && *set_by_user != '\0' && !::weft::test::has_shared("")) \
      FAIL() << "WEFT_SHARED: there is no " << ::weft::test::shared_path();              \
    GTEST_SKIP() << "skipped: no such shared data (WEFT_SHARED, default ../shared)";     \
  } while (false)

#define WEFT_SKIP_WITHOUT(below) \
  if (!::weft::test::has_shared(below)) WEFT_SKIP_WITHOUT_GOLDENS()

// What no golden is called: the one parameter of a suite that has none, whose test skips.
inline const std::string no_golden;

// The entries of `folder` that `wanted` takes, sorted; {no_golden} where there is none.
inline std::vector<std::string> golden_names(const std::string& folder,
                                             const std::function<bool(const std::string&)>& wanted) {
  std::vector<std::string> names;
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator(shared_path(folder), missing))
    if (const std::string name = entry.path().filename().string(); wanted(name)) names.push_back(name);
  std::sort(names.begin(), names.end());
  if (names.empty()) names.push_back(no_golden);
  return names;
}

inline std::vector<std::string> golden_models(const std::string& file = "greedy.json") {
  return golden_names("goldens", [&](const std::string& name) { return has_shared("goldens/" + name + "/" + file); });
}

// Models that have a greedy.json and something that makes token ids of text.
inline std::vector<std::string> golden_text_models() {
  return golden_names("goldens", [](const std::string& name) {
    return has_shared("goldens/" + name + "/greedy.json") &&
           (has_shared("models/" + name + "/tokenizer.json") || has_shared("models/" + name + "/tokenizer.model"));
  });
}

inline std::vector<std::string> golden_tokenizers() {
  return golden_names("tokenizers",
                      [](const std::string& name) { return has_shared("tokenizers/" + name + "/golden.json"); });
}

// The .json files of a folder: "goldens/chat_templates", "goldens/sampling".
inline std::vector<std::string> golden_files(const std::string& folder) {
  return golden_names(folder, [](const std::string& name) { return name.ends_with(".json"); });
}

// A golden's name as a test's, which is letters, digits and '_': no two become one.
inline std::string as_test_name(const std::string& golden) {
  if (golden == no_golden) return "no_shared_data";
  std::string name;
  for (const char c : golden) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0)
      name += c;
    else
      name += c == '-' ? "_" : c == '_' ? "__" : "_x" + std::to_string(static_cast<unsigned char>(c)) + "_";
  }
  return name;
}

}  // namespace weft::test
