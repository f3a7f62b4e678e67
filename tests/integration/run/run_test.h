// `weft run` as a user starts it: the built program with a weft.toml, a file of requests and a directory of its own.
//
// Each test has its own directory, run directory and state directory, and ends with a look round: no process of it may
// be left, nor a token or endpoint in its run directory.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "tests/integration/run/child.h"
#include "tests/support/sanitized.h"
#include "tests/support/temporary_directory.h"

namespace weft::test {

using Json = nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* model_directory = WEFT_SOURCE_DIR "/models/weft-tiny";
constexpr const char* weft_program = WEFT_BUILD_DIR "/bin/weft";

// What `weft run` is given; paths are relative to the test's directory unless they start with '/'.
struct RunArguments {
  std::vector<std::string> set;  // --set, after those of every test
  std::string config = "weft.toml";
  std::string input = "prompts.jsonl";
  std::string output = "results.jsonl";
  bool own_run_directory = true;  // else the default one, below the test's XDG_STATE_HOME
  bool obeys_permissions = false;
};

struct Ended {
  int code = -1;
  std::string out;
  std::string err;
};

class RunTest : public ::testing::Test {
 protected:
  RunTest();
  ~RunTest() override;

  std::string path(const std::string& name) const;
  void write(const std::string& name, const std::string& text) { directory_.write(name, text); }
  std::string read(const std::string& name) const;

  // weft.toml: the model, one thread a rank, little memory; `more` follows.
  void write_config(const std::string& more = "", const std::string& model = model_directory);
  // prompts.jsonl, one line each.
  void write_requests(const std::vector<Json>& requests, const std::string& name = "prompts.jsonl");

  Child start(const RunArguments& arguments = {}) const;
  Ended run(const RunArguments& arguments = {}) const;
  Ended check(const RunArguments& arguments = {}) const;  // `weft check` of the same configuration
  // For a crash that is meant: what this test starts gets it itself. A sanitizer would add a trace of its own to the log,
  // longer than the end of it that `weft run` shows.
  static void let_no_sanitizer_explain_crashes();

  // Reads `child`'s log for the pid of a rank; it needs log.level=debug. 0 if it never says Hello.
  static pid_t wait_for_worker(Child& child, int rank);
  // Until the output has so many whole lines.
  bool wait_for_results(Child& child, std::size_t count, const std::string& output = "results.jsonl") const;

  std::vector<Json> results(const std::string& name = "results.jsonl") const;
  // By custom_id. A repeated one is a failure.
  std::map<std::string, Json> answers(const std::string& name = "results.jsonl") const;
  Json summary() const;  // of the last run in this directory
  // The log of a rank, of the run in `run_directory`.
  std::string rank_log(int rank) const;
  // What runs with this test's mark in its environment.
  std::set<pid_t> processes() const;
  std::string run_directory() const { return path("run"); }

  TemporaryDirectory directory_;

 private:
  std::vector<std::string> command(const std::string& name, const RunArguments& arguments) const;
  Child start_command(std::vector<std::string> argv, bool obeys_permissions) const;
};

// tests/golden/data/weft-tiny-greedy.json: "messages", "prompt", "prompt_ids", "ids", "text" each.
const Json& golden_cases();
// A chat that has a golden answer, at temperature 0, with token ids.
Json golden_chat(std::size_t which);
std::vector<Json> golden_chats();
// A chat that goes on for `tokens` tokens.
Json long_chat(const std::string& custom_id, int tokens);

inline std::string text_of(const Json& answer) {
  const Json& choice = answer["response"]["body"]["choices"][0];
  return choice.contains("message") ? choice["message"]["content"] : choice["text"];
}
inline Json ids_of(const Json& answer) { return answer["response"]["body"]["choices"][0]["token_ids"]; }
inline std::string error_of(const Json& answer) {
  return answer["error"].is_null() ? "" : answer["error"]["message"].get<std::string>();
}

}  // namespace weft::test
