// What a profile's [limits] and [fixtures] may hold: one table, which the profile's reader, the cases and
// docs/plugins/README.md share (`./dev docs` writes the page's). A case asks by name; one that is not here does not compile.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace weft::conformance {

// Of [limits]: a figure that stands in for the suite's own.
struct LimitDeclaration {
  std::string_view name;
  std::string_view kind;  // of plugins that cases ask it of; empty: every
  std::string_view unit;
  double standard;  // where a profile does not name it
  std::string_view meaning;
};

// Of [fixtures]: something that is there, or that the plugin claims, beyond its declared capabilities.
struct FixtureDeclaration {
  std::string_view name;
  std::string_view kind;
  std::string_view value;
  std::string_view meaning;
};

inline constexpr std::array limit_declarations{
    LimitDeclaration{"time_scale", "", "times", 1,
                     "Each case's deadline and each bound on time, times this: a slow or busy machine, a build with "
                     "sanitizers. `--time-scale` multiplies it."},
    LimitDeclaration{"ranks", "executor", "ranks", 64, "How large the large gang is (EX-22)."},
    LimitDeclaration{"waiting_cpu", "communicator", "share of a CPU", 0.2,
                     "How much a rank takes at most while it waits for another for more than a second (CM-95)."},
    LimitDeclaration{"spread", "load_balancer", "times the mean", 2,
                     "How many of equal requests one replica gets at most: more where weights are uneven on purpose."},
    LimitDeclaration{"makespan_bound", "load_balancer", "times the ideal", 2,
                     "When the last of 2000 requests of mixed lengths may have ended (LB-35): 1 is Graham's bound."},
};

inline constexpr std::array fixture_declarations{
    FixtureDeclaration{"nodes", "executor", "a list of names, two at least",
                       "Nodes that the inventory must have, apart from each other (EX-08)."},
    FixtureDeclaration{
        "strays", "executor", "any",
        "The executor also ends processes that left their rank's process group (EX-76). Tried without it "
        "where each rank is seen to have a cgroup of its own."},
    FixtureDeclaration{"ranks_as_threads", "communicator", "any",
                       "Ranks are threads of one process wherever a case allows it: for a debugger or a tool that does "
                       "not follow forks."},
    FixtureDeclaration{"hears_stats", "load_balancer", "any", "The balancer weighs what leaders report (LB-39)."},
    FixtureDeclaration{
        "weighs_charges", "load_balancer", "any",
        "The balancer weighs what it picked: LB-20 to LB-29 fail where that is not seen, instead of being "
        "skipped."},
};

template <class Declaration, std::size_t count>
constexpr const Declaration* find_declaration(const std::array<Declaration, count>& all, std::string_view name) {
  for (const Declaration& one : all)
    if (one.name == name) return &one;
  return nullptr;
}

// A name of the table.
class Limit {
 public:
  consteval Limit(const char* name)  // NOLINT(google-explicit-constructor): written as a word
      : declaration(find_declaration(limit_declarations, name)) {
    if (declaration == nullptr) throw "no such limit: declare it above";
  }
  const LimitDeclaration* declaration;
};

class Fixture {
 public:
  consteval Fixture(const char* name)  // NOLINT(google-explicit-constructor)
      : declaration(find_declaration(fixture_declarations, name)) {
    if (declaration == nullptr) throw "no such fixture: declare it above";
  }
  const FixtureDeclaration* declaration;
};

}  // namespace weft::conformance
