// Every way to be refused, by the built program: `weft plugins list` gives each file one row and lives, and `weft run`
// says what is wrong and starts nothing.
#include <unistd.h>

#include <chrono>

#include "core/plugin/stage.h"
#include "tests/integration/run/run_test.h"

namespace weft::test {
namespace {

namespace fs = std::filesystem;

// How long one file may take here. A right one needs tens of milliseconds.
constexpr std::chrono::seconds file_limit{sanitized ? 10 : 4};
const std::string file_limit_text = std::to_string(file_limit.count()) + "s";

struct Refused {
  std::string name;
  std::string stage;
  std::string found;  // in the message
  int run_code = 4;
};

std::vector<Refused> refused_fixtures() {
  return {
      {"text", "symbol", "it is not an ELF file (24 bytes)"},
      {"truncated", "symbol", "truncated or damaged"},
      {"no_symbol", "symbol", "does not export 'weft_plugin'"},
      {"undefined", "dlopen", "weft_test_symbol_that_nobody_defines"},
      {"null_descriptor", "size", "weft_plugin() returned null"},
      {"wrong_size", "size", "has 8 bytes"},
      {"wrong_magic", "size", "magic 0x12345678"},
      {"wrong_abi", "abi", "ABI version 99"},
      {"wrong_interface", "interface", "version 99 of the load_balancer interface"},
      {"debug_stl", "fingerprint", "'debug=1' where weft has 'debug=0'"},
      {"old_strings", "fingerprint", "cxx11=0' where weft has"},
      {"second_runtime", "runtime", "second C++ runtime"},
      {"wrong_name", "name", "it says that it is load_balancer/another"},
      {"unknown_capability", "capabilities", "unknown capability 'prefix_afinity'; did you mean 'prefix_affinity'?"},
      {"no_help", "options", "option 'limit': no help"},
      {"illegal_default", "options", "illegal default 65"},
      {"probe_no", "probe", "it cannot work here: there is no flux capacitor"},
      {"probe_throws", "probe", "thrown by probe"},
      // Under AddressSanitizer a crash becomes an exit with a report.
      {"probe_crashes", "probe", sanitized ? "in this stage" : "it crashed in this stage: signal 11"},
      {"probe_aborts", "probe", sanitized ? "in this stage" : "it crashed in this stage: signal 6"},
      {"probe_exits", "probe", "it ended the process in this stage, with exit code 7"},
      {"probe_hangs", "probe", "it did not come back from this stage"},
      {"create_fails", "create", "no memory for it", 2},
      {"create_throws", "create", "thrown by create", 2},
      {"create_nothing", "create", "it made no object and gave no reason", 2},
      {"create_crashes", "create", sanitized ? "in this stage" : "it crashed in this stage: signal 11", 2},
      {"create_aborts", "create", sanitized ? "in this stage" : "it crashed in this stage: signal 6", 2},
      {"create_exits", "create", "it ended the process in this stage, with exit code 0", 2},
      {"create_hangs", "create", "it did not come back from this stage", 2},
  };
}

class Refusals : public RunTest {
 protected:
  Refusals() { fs::create_directory(path("plugins")); }

  // A copy of a fixture that its owner alone may write, whatever the umask of the build was.
  std::string place(const std::string& name, const std::string& as = "", const std::string& folder = "plugins") {
    const std::string target = path(folder + "/libweft-load_balancer-" + (as.empty() ? name : as) + ".so");
    fs::copy_file(std::string(FIXTURES) + "/libweft-load_balancer-" + name + ".so", target);
    fs::permissions(target, fs::perms::owner_all);
    return target;
  }
  std::string place_any(const std::string& name) {
    if (name == "text") {
      write("plugins/libweft-load_balancer-text.so", "I am a library, honest.\n");
      return path("plugins/libweft-load_balancer-text.so");
    }
    if (name != "truncated") return place(name);
    const std::string file = place("good", "truncated");
    fs::resize_file(file, fs::file_size(file) / 2);
    return file;
  }
  Ended weft(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), weft_program);
    Child child({.argv = std::move(arguments), .env = {}, .directory = directory_.path()});
    const int code = child.wait();
    return {code, child.out(), child.err()};
  }
  // The rows by file name.
  std::map<std::string, Json> list(std::vector<std::string> more) const {
    more.insert(more.begin(),
                {"plugins", "list", "--json", "--plugin-dir", path("plugins"), "--timeout", file_limit_text});
    const Ended ended = weft(more);
    EXPECT_EQ(ended.code, 0) << ended.err;
    std::map<std::string, Json> rows;
    for (const Json& row : Json::parse(ended.out))
      EXPECT_TRUE(rows.emplace(row["file"].get<std::string>(), row).second) << row["file"] << " twice";
    return rows;
  }
  Ended run_with(const std::string& name, std::vector<std::string> more = {}) {
    more.push_back("balancer.path=" + path("plugins/libweft-load_balancer-" + name + ".so"));
    more.push_back("balancer.plugin=" + name);
    return run({.set = more});
  }
};

void expect_refused(const Json& row, const std::string& stage, const std::string& found) {
  EXPECT_FALSE(row["usable"].get<bool>());
  EXPECT_EQ(row.value("refused_at", ""), stage) << row.dump(2);
  EXPECT_THAT(row.value("refused_because", ""), HasSubstr(found));
  std::string expected = "passed";  // up to that stage
  for (const Json& each : row["stages"]) {
    const bool here = each["stage"] == stage;
    EXPECT_EQ(each["outcome"], here ? "failed" : expected) << each["stage"];
    if (here) expected = "not reached";
  }
}

TEST_F(Refusals, ADirectoryThatIsNotThereIsWarnedOfInALine) {
  const Ended there = weft({"plugins", "list", "--plugin-dir", path("plugins")});
  EXPECT_THAT(there.err, Not(HasSubstr("warning")));
  const Ended missing = weft({"plugins", "list", "--plugin-dir", path("plugin")});
  EXPECT_EQ(missing.code, 0);
  EXPECT_EQ(missing.err, "warning: --plugin-dir " + path("plugin") + ": there is no such directory\n");
  EXPECT_EQ(missing.out, there.out);
}

TEST_F(Refusals, AreOneRowEachAndTheListLives) {
  std::map<std::string, Refused> expected;
  for (const Refused& refused : refused_fixtures())
    expected[place_any(refused.name)] = refused;
  const auto policy = [&](const std::string& file, const std::string& found) {
    expected[file] = {"", "file policy", found};
  };
  const std::string world = place("good", "world_writable");
  fs::permissions(world, fs::perms::others_write, fs::perm_options::add);
  policy(world, "the file is world-writable");
  const std::string group = place("good", "group_writable");
  fs::permissions(group, fs::perms::group_write, fs::perm_options::add);
  policy(group, "group-writable (mode 0720), which plugins.strict refuses");
  fs::create_directory(path("open"));
  policy(place("good", "", "open"), "the directory " + path("open") + " is world-writable");
  fs::permissions(path("open"), fs::perms::all);
  if (::geteuid() == 0) {  // only root can give a file away
    const std::string foreign = place("good", "foreign");
    ASSERT_EQ(::chown(foreign.c_str(), 65534, 65534), 0);
    policy(foreign, "its owner is user 65534");
  }
  const std::string good = place("good");

  const auto started = std::chrono::steady_clock::now();
  const auto rows = list({"--create", "--strict", "--plugin-dir", path("open")});
  // Two hang until their limit, and are stopped then.
  EXPECT_LT(std::chrono::steady_clock::now() - started, 2 * file_limit + patience / 2);
  for (const auto& [file, refused] : expected) {
    SCOPED_TRACE(file);
    ASSERT_EQ(rows.count(file), 1u);
    expect_refused(rows.at(file), refused.stage, refused.found);
  }
  ASSERT_EQ(rows.count(good), 1u);
  EXPECT_TRUE(rows.at(good)["usable"].get<bool>()) << rows.at(good).dump(2);
  EXPECT_EQ(rows.at(good)["stages"].back()["outcome"], "passed");
  // Beside these there are the shipped ones alone.
  for (const auto& [file, row] : rows)
    if (file.rfind(directory_.path(), 0) == 0)
      EXPECT_TRUE(file == good || expected.count(file) == 1) << file;
    else
      EXPECT_THAT(file, HasSubstr("/lib/weft/plugins/"));
}

TEST_F(Refusals, CoverEveryStage) {
  std::set<std::string> stages{"file policy"};  // as above
  for (const Refused& refused : refused_fixtures())
    stages.insert(refused.stage);
  for (int stage = 0; stage < stage_count; ++stage)
    EXPECT_EQ(stages.count(std::string(to_string(static_cast<Stage>(stage)))), 1u)
        << to_string(static_cast<Stage>(stage));
}

TEST_F(Refusals, AreALineEachForPeople) {
  for (const char* name : {"text", "probe_no", "probe_crashes", "good", "create_fails"})
    place_any(name);
  const Ended ended = weft({"plugins", "list", "--plugin-dir", path("plugins")});
  EXPECT_EQ(ended.code, 0);
  std::map<std::string, std::string> lines;
  std::istringstream text(ended.out);
  for (std::string line; std::getline(text, line);)
    lines[line.substr(0, line.find(' '))] = line;
  EXPECT_THAT(lines["load_balancer/text"], HasSubstr("  refused: symbol  "));
  EXPECT_THAT(lines["load_balancer/probe_no"], AllOf(HasSubstr("1.2.3  refused: probe"), HasSubstr("flux capacitor")));
  EXPECT_THAT(lines["load_balancer/probe_crashes"], HasSubstr("  refused: probe  "));
  EXPECT_THAT(lines["load_balancer/good"], HasSubstr("  usable "));
  EXPECT_THAT(lines["load_balancer/create_fails"], HasSubstr("  usable ")) << "only --create makes objects";
  EXPECT_THAT(lines["executor/mp"], HasSubstr("  usable "));
}

class RefusalsOf : public Refusals, public ::testing::WithParamInterface<Refused> {};

TEST_P(RefusalsOf, EndARunBeforeAnythingIsStarted) {
  const Refused& refused = GetParam();
  write_config();
  write_requests({golden_chat(0)});
  place_any(refused.name);
  const Ended ended = run_with(refused.name, {"timeouts.plugin=" + file_limit_text});
  EXPECT_EQ(ended.code, refused.run_code) << ended.err;
  EXPECT_THAT(ended.err, AllOf(HasSubstr("plugin load_balancer/" + refused.name),
                               HasSubstr("stage '" + refused.stage + "'"), HasSubstr(refused.found)));
  EXPECT_FALSE(fs::exists(path("results.jsonl")));
  EXPECT_FALSE(fs::exists(run_directory())) << "nothing was to be started";
}

INSTANTIATE_TEST_SUITE_P(Each, RefusalsOf, ::testing::ValuesIn(refused_fixtures()),
                         [](const auto& test) { return test.param.name; });

TEST_F(Refusals, OfThePolicyEndARunToo) {
  write_config();
  write_requests({golden_chat(0)});
  const std::string file = place("good");
  const Ended pinned = run_with("good", {"balancer.sha256=" + std::string(64, 'a')});
  EXPECT_EQ(pinned.code, 4);
  EXPECT_THAT(pinned.err, AllOf(HasSubstr("stage 'file policy'"), HasSubstr("the configuration pins aaaa")));
  fs::permissions(file, fs::perms::group_write, fs::perm_options::add);
  const Ended strict = run_with("good", {"plugins.strict=true"});
  EXPECT_EQ(strict.code, 4);
  EXPECT_THAT(strict.err, HasSubstr("plugins.strict refuses"));
  if (::geteuid() != 0) return;
  ASSERT_EQ(::chown(file.c_str(), 65534, 65534), 0);
  const Ended foreign = run_with("good");
  EXPECT_EQ(foreign.code, 4);
  EXPECT_THAT(foreign.err, HasSubstr("its owner is user 65534"));
}

TEST_F(Refusals, OfCreateAreToldByCheckToo) {
  write_config();
  place("create_crashes");
  const Ended ended =
      weft({"check", "-c", "weft.toml", "--plugin-dir", path("plugins"), "--set", "balancer.plugin=create_crashes"});
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err, AllOf(HasSubstr("plugin load_balancer/create_crashes"), HasSubstr("stage 'create'")));
}

TEST_F(Refusals, ACrashInAWorkerNamesThePlugin) {
  let_no_sanitizer_explain_crashes();
  write_config("[communicator]\nplugin = \"crashes_in_a_worker\"\npath = \"" + std::string(FIXTURES) +
               "/libweft-communicator-crashes_in_a_worker.so\"\n");
  write_requests({golden_chat(0)});
  const Ended ended = run();
  EXPECT_EQ(ended.code, 5);
  EXPECT_THAT(ended.err, AllOf(HasSubstr("plugin communicator/crashes_in_a_worker"), HasSubstr("stage 'create'"),
                               HasSubstr("the process crashed in it: SIGSEGV")));
}

}  // namespace
}  // namespace weft::test
