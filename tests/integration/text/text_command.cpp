#include "tests/integration/text/text_command.h"

#include <gtest/gtest.h>

#include <sstream>

#include "tests/integration/run/child.h"
#include "tests/support/temporary_directory.h"

namespace weft::test {

TextOutput run_text_command(const std::vector<std::string>& arguments, const std::string& input) {
  const TemporaryDirectory directory;
  const std::string file = directory.write("input.jsonl", input);
  ChildSpec spec{
      .argv = {"/bin/sh", "-c", "file=$1; shift; exec \"$@\" <\"$file\"", "sh", file, WEFT_BUILD_DIR "/bin/weft"},
      .env = {},
      .directory = directory.path()};
  spec.argv.insert(spec.argv.end(), arguments.begin(), arguments.end());
  Child child(std::move(spec));
  TextOutput output{.code = child.wait(), .lines = {}, .out = child.out(), .err = child.err()};
  std::istringstream lines(output.out);
  for (std::string line; std::getline(lines, line);) {
    Json parsed = Json::parse(line, nullptr, false);
    if (parsed.is_object()) output.lines.push_back(std::move(parsed));
  }
  return output;
}

}  // namespace weft::test
