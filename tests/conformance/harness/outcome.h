// What came out of a case, and how it is written.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/conformance/harness/case.h"
#include "tests/conformance/harness/profile.h"

namespace weft::conformance {

enum class Outcome : std::uint8_t {
  pass,
  fail,
  skip,     // it asks for a capability, fixture or machine that is not there; the message says which
  xfail,    // it fails, and a waiver says why
  xpass,    // a waiver says that it fails, and it passes: take the waiver out
  crash,    // the case's process ended without an outcome
  timeout,  // stopped at its deadline
  flake,    // it failed, and passed when it was tried again
  not_run   // the run was interrupted before it ended; nothing is known of it
};

inline constexpr std::size_t outcome_count = 9;

constexpr std::string_view to_string(Outcome outcome) noexcept {
  constexpr std::string_view names[] = {"PASS",  "FAIL",    "SKIP",  "XFAIL",  "XPASS",
                                        "CRASH", "TIMEOUT", "FLAKE", "NOT_RUN"};
  return names[static_cast<std::size_t>(outcome)];
}
// Whether a run with such an outcome may exit with 0.
constexpr bool is_good(Outcome outcome) noexcept {
  return outcome == Outcome::pass || outcome == Outcome::skip || outcome == Outcome::xfail;
}

struct CaseResult {
  const Case* tested = nullptr;
  Outcome outcome = Outcome::crash;
  double seconds = 0;
  std::string message;
  std::vector<std::string> notes;
  std::vector<std::string> proven;  // declared capabilities that it put to work, beside those of its needs
  std::string output;               // the last of what it wrote to stdout and stderr
  int attempts = 1;
  std::optional<Waiver> waiver;  // that counts
  std::string repeat;            // the command that runs this case again, seed included
};

constexpr std::string_view to_string(Level level) noexcept {
  return level == Level::must ? "must" : level == Level::full ? "full" : "soak";
}

}  // namespace weft::conformance
