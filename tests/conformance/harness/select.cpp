#include "tests/conformance/harness/select.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <ctime>
#include <sstream>

namespace weft::conformance {
namespace {

std::vector<std::string> parts_of(const std::string& text, char between) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, between);)
    if (!part.empty()) parts.push_back(part);
  return parts;
}

bool matches(const Case& tested, const std::string& part, Level level) {
  if (part == tested.id) return true;
  if (tested.level > level) return false;
  return ::fnmatch(part.c_str(), tested.id, 0) == 0 ||
         std::string_view(tested.title).find(part) != std::string_view::npos;
}

}  // namespace

Result<std::vector<const Case*>> select_cases(const std::vector<Case>& cases, const Wanted& wanted) {
  std::vector<const Case*> chosen;
  const std::vector<std::string> parts = parts_of(wanted.filter, ',');
  if (parts.empty() && !wanted.filter.empty())
    return fail(ErrorCode::invalid_argument,
                fmt::format("--filter '{}' names no case; leave it out to run all of the level", wanted.filter));
  for (const std::string& part : parts)
    if (std::none_of(cases.begin(), cases.end(), [&](const Case& one) { return matches(one, part, wanted.level); }))
      return fail(ErrorCode::invalid_argument,
                  fmt::format("--filter '{}' matches no case of level {}; --list shows them", part,
                              wanted.level == Level::soak ? "soak" : "asked for or below"));
  for (const Case& one : cases) {
    const bool named = std::any_of(parts.begin(), parts.end(),
                                   [&](const std::string& part) { return matches(one, part, wanted.level); });
    if (parts.empty() ? one.level <= wanted.level : named) chosen.push_back(&one);
  }
  return chosen;
}

std::string unmet_need(const Case& tested, const std::vector<std::string>& capabilities, const Profile& profile) {
  for (const std::string& need : parts_of(tested.needs, ' ')) {
    const std::size_t colon = need.find(':');
    const std::string kind = need.substr(0, colon);
    std::string word = colon == std::string::npos ? "" : need.substr(colon + 1);
    if (kind == "cap") {
      if (std::find(capabilities.begin(), capabilities.end(), word) == capabilities.end())
        return fmt::format("the plugin does not declare '{}'", word);
    } else if (kind == "fixture") {
      const std::size_t equals = word.find('=');
      const std::size_t count = equals == std::string::npos ? 1 : std::stoul(word.substr(equals + 1));
      word = word.substr(0, equals);
      const auto found = profile.fixtures.find(word);
      if (found == profile.fixtures.end() || found->second.size() < count)
        return fmt::format("the profile has no [fixtures] {}{}", word,
                           count > 1 ? fmt::format(" with {} values", count) : "");
    } else {
      return fmt::format("'{}' is no need that this suite knows", need);
    }
  }
  return {};
}

std::string today() { return fmt::format("{:%Y-%m-%d}", fmt::gmtime(std::time(nullptr))); }

const Waiver* waiver_for(const Profile& profile, std::string_view id, const std::string& day) {
  for (const Waiver& waiver : profile.waivers)
    if (waiver.case_id == id && day < waiver.expires) return &waiver;
  return nullptr;
}

}  // namespace weft::conformance
