#include "tests/conformance/harness/mustpass.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

namespace weft::conformance {
namespace {

namespace fs = std::filesystem;

Result<std::string> sha256_of(const std::string& text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &length, EVP_sha256(), nullptr) != 1)
    return fail(ErrorCode::internal, "OpenSSL cannot compute a SHA-256");
  std::string hexadecimal;
  for (unsigned int at = 0; at < length; ++at)
    hexadecimal += fmt::format("{:02x}", digest[at]);
  return hexadecimal;
}

// Lines as `sha256sum` writes them: "<64 digits>  v1.txt". Fine where there are none to compare with.
Status check_frozen(const fs::path& list, const std::string& sha256) {
  const fs::path sums = list.parent_path() / "SHA256SUMS";
  if (!fs::exists(sums)) return {};
  std::ifstream file(sums);
  std::string recorded;
  std::string name;
  while (file >> recorded >> name)
    if (name == list.filename()) break;
  if (name == list.filename() && recorded == sha256) return {};
  const std::string found =
      name == list.filename() ? fmt::format("has {} for it", recorded) : std::string("does not name it");
  return fail(
      ErrorCode::refused,
      fmt::format("{}: this is not the frozen list: its SHA-256 is {}, and {} {}. A list is never edited: take "
                  "it back as it was, and give a new rule `since` the next version and a line in that version's "
                  "list; mustpass/README.md says when a list may be recorded anew",
                  list.string(), sha256, sums.string(), found));
}

}  // namespace

std::string Claim::text() const {
  if (holds) return fmt::format("claimed: {} rules hold, {} do not apply, {} waived", passed, skipped, waived);
  return fmt::format("not claimed: of {} rules {} hold, {} do not apply, {} waived", rules, passed, skipped, waived);
}

Claim claim_of(const MustPass& list, std::size_t listed, std::span<const CaseResult> results) {
  Claim claim{.version = list.version, .list_sha256 = list.sha256, .rules = static_cast<int>(listed)};
  for (const CaseResult& one : results) {
    claim.passed += one.outcome == Outcome::pass ? 1 : 0;
    claim.skipped += one.outcome == Outcome::skip ? 1 : 0;
    claim.waived += one.outcome == Outcome::xfail ? 1 : 0;
  }
  claim.holds = claim.passed > 0 && claim.passed + claim.skipped + claim.waived == claim.rules;
  return claim;
}

Result<MustPass> load_mustpass(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string name = fs::path(path).stem().string();
  if (!file) return fail(ErrorCode::not_found, path + ": cannot be read, expected a list as mustpass/v1.txt");
  if (name.size() < 2 || name.front() != 'v')
    return fail(ErrorCode::invalid_argument, path + ": the file's name says the version, as v1.txt");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  WEFT_ASSIGN(sha256, sha256_of(text));
  WEFT_TRY(check_frozen(path, sha256));
  MustPass list{.version = name.substr(1), .ids = {}, .sha256 = std::move(sha256)};
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    line = line.substr(0, line.find('#'));
    line.erase(line.find_last_not_of(" \t\r") + 1);
    if (!line.empty()) list.ids.push_back(line);
  }
  return list;
}

Result<std::vector<const Case*>> listed_cases(const MustPass& list, const std::vector<Case>& cases) {
  std::set<std::string> prefixes;
  for (const Case& one : cases)
    prefixes.insert(std::string(one.id).substr(0, 3));
  std::vector<const Case*> chosen;
  for (const std::string& id : list.ids) {
    if (!prefixes.contains(id.substr(0, 3))) continue;
    const auto found = std::find_if(cases.begin(), cases.end(), [&](const Case& one) { return id == one.id; });
    if (found == cases.end())
      return fail(ErrorCode::invalid_argument, fmt::format("the list names {}, which this suite does not have", id));
    chosen.push_back(&*found);
  }
  return chosen;
}

}  // namespace weft::conformance
