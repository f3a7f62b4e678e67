// mutants/<folder>/mutants.toml, read. See tests/conformance/README.md.
#pragma once

#include <set>
#include <string>
#include <vector>

namespace weft::conformance {

struct Mutant {
  std::string folder;   // "executor", also where its library lies: tests/mutants/<folder>/ of the build tree
  std::string library;  // "libweft-executor-mutant.so"
  std::string name;     // the value of WEFT_MUTANT; empty: the mutants' library with nothing broken
  std::string breaks;   // the rule
  std::set<std::string> fails;
  std::set<std::string> may_fail;  // those that it fails or not as threads and processes happen to run; never `breaks`
  std::set<std::string> controls;
  std::string profile;  // its file; empty: none
};

// Every folder's; problems as lines "executor/mutants.toml: ...".
struct MutantList {
  std::vector<Mutant> mutants;
  std::vector<Mutant> unbroken;  // one a library
  std::vector<std::string> problems;
};
// `rules`: the ids of all rules. A folder that says `covers = "LB"` has, for each of them that begins with it, a mutant that fails it
// or an [[exempt]] that says why there is none.
MutantList read_mutants(const std::string& directory, const std::vector<std::string>& rules);

}  // namespace weft::conformance
