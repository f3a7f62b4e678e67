// Where a rank's output goes.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/conformance/executor/bench.h"
#include "tests/conformance/executor/groups.h"

namespace weft::conformance::ex {
namespace {

namespace fs = std::filesystem;

std::string contents_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// What the log holds once the rank has ended; an executor that carries output over a wire may need a moment.
void expect_contents(const Context& context, const fs::path& path, const std::string& expected) {
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  const Deadline deadline = Deadline::in(patience(context));
  std::string got;
  while ((got = contents_of(path)) != expected && expected.starts_with(got) && !deadline.passed())
    never.wait_for(lock, std::chrono::milliseconds(5));
  context.expect(got == expected,
                 fmt::format("{} holds {} bytes '{}', expected {} bytes '{}'", path.filename().string(), got.size(),
                             got.substr(0, 200), expected.size(), expected.substr(0, 200)));
}

// A gang of one rank with that log, told to print; ended.
void run_printing(const Bench& bench, const GangId& gang, const fs::path& log, const std::vector<Words>& orders) {
  GangSpec spec = bench.gang(gang, 1);
  spec.ranks[0].log_path = log.string();
  Peer& peer = *bench.start(spec)[0];
  for (const Words& order : orders)
    peer.order(order);
  peer.tell({"exit", "0"});
  bench.sink().expect_exit(gang, 0, Exit::Cause::code, 0);
}

void both_streams_are_appended(Context& context) {
  const Bench bench(context);
  const fs::path log = context.directory() / "rank 0.log";
  std::ofstream(log) << "before\n";
  run_printing(bench, {"g", 1}, log, {{"print", "1", "out 1\n"}, {"print", "2", "err\n"}, {"print", "1", "out 2\n"}});
  expect_contents(context, log, "before\nout 1\nerr\nout 2\n");
  run_printing(bench, {"g", 2}, log, {{"print", "2", "again\n"}});
  expect_contents(context, log, "before\nout 1\nerr\nout 2\nagain\n");
}

void missing_folders_are_made(Context& context) {
  const Bench bench(context);
  const fs::path log = context.directory() / "logs" / "replica-0" / "rank-0.log";
  run_printing(bench, {"g", 1}, log, {{"print", "1", "there\n"}});
  expect_contents(context, log, "there\n");
}

void logs_are_apart(Context& context) {
  const Bench bench(context);
  GangSpec spec = bench.gang({"g", 1}, 3);
  const auto log = [&](std::size_t index) { return context.directory() / fmt::format("rank-{}", index); };
  for (std::size_t index = 0; index < 3; ++index)
    spec.ranks[index].log_path = log(index).string();
  const std::vector<Peer*> peers = bench.start(spec);
  for (std::size_t index = 0; index < 3; ++index)
    peers[index]->order({"print", "1", fmt::format("this is {}\n", index)});
  bench.end(spec);
  for (std::size_t index = 0; index < 3; ++index)
    expect_contents(context, log(index), fmt::format("this is {}\n", index));
}

void a_log_that_cannot_be(Context& context) {
  const Bench bench(context);
  std::ofstream(context.directory() / "file") << "no folder\n";
  GangSpec spec = bench.exits({"g", 1}, {0, 0});
  spec.ranks[1].log_path = (context.directory() / "file" / "log").string();
  bench.launch(spec);
  for (const Told& told : bench.sink().wait_exits(spec.gang, 2))
    context.expect(told.exit.cause == Exit::Cause::never_started && !told.exit.detail.empty(),
                   fmt::format("rank {} of a gang whose log cannot be opened ended with {}, expected never_started",
                               told.rank, to_text(told.exit)));
  expect_none_left(context, "of a gang whose log cannot be opened");
}

void much_output_arrives_whole(Context& context) {
  const Bench bench(context);
  const fs::path log = context.directory() / "log";
  std::string text;
  for (int line = 0; text.size() < (std::size_t{1} << 20); ++line)
    text += fmt::format("line {}\n", line);
  text += std::string("\0\x01\xff no newline", 14);
  run_printing(bench, {"g", 1}, log, {{"print", "1", text}});
  expect_contents(context, log, text);
}

void no_log_discards(Context& context) {
  // Where the case's own output goes, seen.
  const fs::path seen = context.directory() / "own-output";
  std::fclose(std::fopen(seen.c_str(), "w"));
  std::fflush(nullptr);
  const int out = ::dup(1);
  const int err = ::dup(2);
  for (const int standard : {1, 2})
    (void)!std::freopen(seen.c_str(), "a", standard == 1 ? stdout : stderr);
  const Bench bench(context);
  Peer& peer = *bench.start(bench.gang({"g", 1}, 1))[0];
  const std::string text(200'000, 'x');  // more than a pipe that nobody reads would hold
  const Words first = peer.ask({"print", "1", text});
  const Words second = peer.ask({"print", "2", text});
  ::dup2(out, 1);
  ::dup2(err, 2);
  context.expect(first == Words{"done"} && second == Words{"done"}, "a rank without a log cannot print");
  const std::string leaked = contents_of(seen);
  context.expect(leaked.empty(), fmt::format("{} bytes of a rank without a log came out of the head", leaked.size()));
}

const Case log_rules[] = {
    {"EX-50", Level::must, "", "1",
     "standard output and error are appended to log_path, in the order in which they are written",
     "An error is understood by the lines before it; a relaunch must not lose them.", both_streams_are_appended},
    {"EX-51", Level::must, "", "1", "folders of log_path that are missing are made",
     "The caller may not see the node's files.", missing_folders_are_made},
    {"EX-52", Level::must, "", "1", "each rank's output is in its own log",
     "Lines of several ranks in one file say nothing.", logs_are_apart},
    {"EX-53", Level::must, "", "1", "a gang with a log that cannot be opened never starts",
     "A rank that dies without a word cannot be understood.", a_log_that_cannot_be},
    {"EX-54", Level::must, "", "1", "a megabyte of output arrives whole, byte by byte, and holds up no rank",
     "A core's last words are long.", much_output_arrives_whole},
    {"EX-55", Level::must, "", "1",
     "output without a log_path is discarded; it neither reaches the head nor stops the rank",
     "The head's output is the user's.", no_log_discards},
};

}  // namespace

std::span<const Case> log_cases() { return log_rules; }

}  // namespace weft::conformance::ex
