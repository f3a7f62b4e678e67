#include "tests/integration/run/run_test.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>

namespace weft::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* mark = "WEFT_TEST_DIRECTORY";

std::string text_of_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

RunTest::RunTest() { write_config(); }

RunTest::~RunTest() {
  EXPECT_THAT(processes(), ::testing::IsEmpty()) << "processes are left";
  for (const auto& entry : fs::recursive_directory_iterator(directory_.path())) {
    const std::string name = entry.path().filename();
    EXPECT_FALSE(name == "token" || name == "endpoint") << entry.path() << " is left";
  }
}

std::string RunTest::path(const std::string& name) const { return name[0] == '/' ? name : directory_.file(name); }

std::string RunTest::read(const std::string& name) const { return text_of_file(path(name)); }

void RunTest::write_config(const std::string& more, const std::string& model) {
  write("weft.toml", "[model]\npath = \"" + model + "\"\ndtype = \"f32\"\n" + more);
}

void RunTest::write_requests(const std::vector<Json>& requests, const std::string& name) {
  std::string text;
  for (const Json& request : requests)
    text += request.dump() + "\n";
  write(name, text);
}

std::vector<std::string> RunTest::command(const std::string& name, const RunArguments& arguments) const {
  std::vector<std::string> set = {"parallel.threads=1", "parallel.oversubscribe=true", "engine.kv_memory=16MiB"};
  if (arguments.own_run_directory) set.push_back("cluster.run_dir=" + run_directory());
  set.insert(set.end(), arguments.set.begin(), arguments.set.end());
  std::vector<std::string> argv = {weft_program, name, "-c", path(arguments.config)};
  for (const std::string& each : set)
    argv.insert(argv.end(), {"--set", each});
  return argv;
}

Child RunTest::start_command(std::vector<std::string> argv, bool obeys_permissions) const {
  return Child({.argv = std::move(argv),
                .env = {{"XDG_STATE_HOME", path("state")}, {mark, directory_.path()}},
                .directory = directory_.path(),
                .obeys_permissions = obeys_permissions});
}

Child RunTest::start(const RunArguments& arguments) const {
  std::vector<std::string> argv = command("run", arguments);
  argv.insert(argv.end(), {"-i", path(arguments.input), "-o", path(arguments.output)});
  argv.insert(argv.end(), {"--summary", path("summary.json")});
  return start_command(std::move(argv), arguments.obeys_permissions);
}

Ended RunTest::check(const RunArguments& arguments) const {
  Child child = start_command(command("check", arguments), arguments.obeys_permissions);
  const int code = child.wait();
  return {code, child.out(), child.err()};
}

Ended RunTest::run(const RunArguments& arguments) const {
  Child child = start(arguments);
  const int code = child.wait();
  return {code, child.out(), child.err()};
}

void RunTest::let_no_sanitizer_explain_crashes() {
  const char* options = std::getenv("ASAN_OPTIONS");
  setenv("ASAN_OPTIONS", (std::string(options ? options : "") + ":handle_segv=0").c_str(), 1);
}

pid_t RunTest::wait_for_worker(Child& child, int rank) {
  const std::string name = ": rank " + std::to_string(rank) + " (";
  constexpr std::string_view hello = "Hello from pid ";
  pid_t pid = 0;
  child.wait_until([&] {
    std::istringstream lines(child.err().substr(0, child.err().rfind('\n') + 1));
    for (std::string line; std::getline(lines, line);)
      if (const std::size_t at = line.find(hello); at != std::string::npos && line.find(name) != std::string::npos)
        pid = std::stoi(line.substr(at + hello.size()));
    return pid != 0;
  });
  return pid;
}

bool RunTest::wait_for_results(Child& child, std::size_t count, const std::string& output) const {
  const Descriptor watch(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (inotify_add_watch(watch.get(), directory_.path().c_str(), IN_MODIFY | IN_CREATE) < 0) return false;
  const auto enough = [&] {
    alignas(inotify_event) std::array<char, 4096> events{};
    while (::read(watch.get(), events.data(), events.size()) > 0) {
    }
    const std::string text = read(output);
    return std::count(text.begin(), text.end(), '\n') >= static_cast<std::ptrdiff_t>(count);
  };
  return child.wait_until(enough, &watch);
}

std::vector<Json> RunTest::results(const std::string& name) const {
  std::vector<Json> lines;
  std::ifstream file(path(name));
  for (std::string line; std::getline(file, line);)
    lines.push_back(Json::parse(line));
  return lines;
}

std::map<std::string, Json> RunTest::answers(const std::string& name) const {
  std::map<std::string, Json> found;
  for (const Json& line : results(name))
    EXPECT_TRUE(found.emplace(line["custom_id"].get<std::string>(), line).second) << line["custom_id"] << " twice";
  return found;
}

Json RunTest::summary() const {
  const Json parsed = Json::parse(read("summary.json"), nullptr, false);
  EXPECT_TRUE(parsed.is_object()) << "no summary";
  return parsed;
}

std::string RunTest::rank_log(int rank) const {
  return text_of_file(run_directory() + "/logs/rank-" + std::to_string(rank) + ".1.log");
}

std::set<pid_t> RunTest::processes() const {
  const std::string wanted = std::string(mark) + "=" + directory_.path();
  std::set<pid_t> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    const std::string name = entry.path().filename();
    if (!std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isdigit(c) != 0; })) continue;
    const std::string environment = '\0' + text_of_file(entry.path().string() + "/environ") + '\0';
    if (environment.find('\0' + wanted + '\0') != std::string::npos) found.insert(std::stoi(name));
  }
  return found;
}

const Json& golden_cases() {
  static const Json cases =
      Json::parse(text_of_file(WEFT_SOURCE_DIR "/tests/golden/data/weft-tiny-greedy.json"))["cases"];
  return cases;
}

Json golden_chat(std::size_t which) {
  return {{"custom_id", "chat-" + std::to_string(which)},
          {"messages", golden_cases()[which]["messages"]},
          {"temperature", 0},
          {"return_token_ids", true}};
}

std::vector<Json> golden_chats() {
  std::vector<Json> chats;
  for (std::size_t i = 0; i < golden_cases().size(); ++i)
    chats.push_back(golden_chat(i));
  return chats;
}

Json long_chat(const std::string& custom_id, int tokens) {
  return {{"custom_id", custom_id}, {"messages", golden_cases()[1]["messages"]},
          {"temperature", 0},       {"max_tokens", tokens},
          {"ignore_eos", true},     {"return_token_ids", true}};
}

}  // namespace weft::test
