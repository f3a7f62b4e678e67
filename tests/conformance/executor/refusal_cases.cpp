// Gangs that cannot start.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "tests/conformance/executor/bench.h"
#include "tests/conformance/executor/groups.h"

namespace weft::conformance::ex {
namespace {

namespace fs = std::filesystem;

// Each of `specs` is refused with a message, nothing of it starts or is told, and the executor works on.
void expect_refused(Context& context, const Bench& bench, const std::vector<std::pair<std::string, GangSpec>>& specs) {
  Recorder& silent = bench.another_sink();
  for (const auto& [what, spec] : specs)
    context.expect_error(bench->launch(spec, silent), ErrorCode::invalid_argument, "launch of " + what);
  const GangSpec good = bench.gang({"g", 1}, 1);  // the name that was refused
  bench.start(good);
  bench.end(good);
  context.expect_ok(bench->close(), "close");
  context.expect(silent.heard_nothing(), "the sink of a refused gang was told something");
  context.expect(bench.post().peers().size() == 1, "a rank of a refused gang was started");
}

void gangs_without_shape(Context& context) {
  const Bench bench(context);
  GangSpec twice = bench.gang({"g", 1}, 3);
  twice.ranks[2].rank = 0;
  expect_refused(context, bench,
                 {{"a gang without ranks", bench.gang({"g", 1}, 0)},
                  {"a gang with rank 0 twice", twice},
                  {"a gang without an id", bench.gang({"", 1}, 1)}});
}

void ranks_without_program(Context& context) {
  const Bench bench(context);
  GangSpec nothing = bench.gang({"g", 1}, 2);
  nothing.ranks[1].argv.clear();
  GangSpec empty = bench.gang({"g", 1}, 2);
  empty.ranks[1].argv[0].clear();
  expect_refused(context, bench, {{"a rank without argv", nothing}, {"a rank whose program is ''", empty}});
}

void texts_that_cannot_arrive(Context& context) {
  const Bench bench(context);
  const std::string null("a\0b", 3);
  std::vector<std::pair<std::string, GangSpec>> specs;
  specs.emplace_back("an argument with a null character", bench.gang({"g", 1}, 2));
  specs.back().second.ranks[1].argv.push_back(null);
  const std::pair<std::string, std::string> variables[] = {{"", "x"}, {"A=B", "x"}, {null, "x"}, {"A", null}};
  for (const auto& variable : variables) {
    specs.emplace_back("an environment variable that no environment can hold", bench.gang({"g", 1}, 2));
    specs.back().second.ranks[1].env.push_back(variable);
  }
  expect_refused(context, bench, specs);
}

// Every rank of the gang ends as never_started, once, with a reason; nothing was placed and nothing is left.
void expect_never_started(const Bench& bench, const GangSpec& spec, const std::string& what) {
  const Context& context = bench.context();
  bench.launch(spec);
  for (const Told& told : bench.sink().wait_exits(spec.gang, spec.ranks.size()))
    context.expect(told.exit.cause == Exit::Cause::never_started && !told.exit.detail.empty(),
                   fmt::format("{}: rank {} ended with {}, expected never_started and a reason", what, told.rank,
                               to_text(told.exit)));
  context.expect(bench.sink().all(spec.gang, Told::What::placed).empty(), what + ": it was placed");
}

void whole_or_not_at_all(Context& context) {
  const Bench bench(context);
  for (const std::size_t bad : {0U, 2U, 4U}) {
    GangSpec spec = bench.gang({"g", static_cast<std::int64_t>(bad)}, 5);
    spec.ranks[bad].argv = {(context.directory() / "no-such-program").string()};
    expect_never_started(bench, spec, fmt::format("rank {} of 5 has no program", bad));
    for (Peer* const peer : bench.post().peers())
      peer->expect_gone("after its gang was told never to have started");
    expect_none_left(context, "of a gang that never started");
    context.expect(bench.sink().all(spec.gang, Told::What::exit).size() == 5,
                   "a rank of a gang that never started has more than one exit");
  }
}

void programs_that_cannot_run(Context& context) {
  const Bench bench(context);
  const fs::path plain = context.directory() / "plain";
  std::ofstream(plain) << "no program\n";
  const std::pair<std::string, fs::path> programs[] = {{"a missing file", context.directory() / "none"},
                                                       {"a missing folder", context.directory() / "none" / "none"},
                                                       {"a folder", context.directory()},
                                                       {"a file that may not be run", plain},
                                                       {"a file as a folder", plain / "none"}};
  std::int64_t incarnation = 0;
  for (const auto& [what, program] : programs) {
    GangSpec spec = bench.exits({"g", ++incarnation}, {0});
    spec.ranks[0].argv[0] = program.string();
    expect_never_started(bench, spec, what);
  }
  // None of them took the name with it.
  const GangSpec good = bench.gang({"g", ++incarnation}, 1);
  bench.start(good);
  bench.end(good);
}

const Case refusal_rules[] = {
    {"EX-30", Level::must, "", "1",
     "a gang without ranks, without an id or with a rank twice is invalid_argument, with a message",
     "It can never start; the caller has a bug.", gangs_without_shape},
    {"EX-31", Level::must, "", "1", "a rank without a program is invalid_argument, with a message",
     "It can never start; the caller has a bug.", ranks_without_program},
    {"EX-32", Level::must, "", "1",
     "arguments and variables that no process can be given are invalid_argument, with a message",
     "They would arrive cut off.", texts_that_cannot_arrive},
    {"EX-33", Level::must, "", "1",
     "a gang starts whole or not at all: one bad rank, and every rank never_started, and nothing is left",
     "Half a replica holds memory and waits for ever.", whole_or_not_at_all},
    {"EX-34", Level::must, "", "1",
     "a program that cannot be run is never_started, with the reason, and the gang can be launched again",
     "A node may lack the file for a moment.", programs_that_cannot_run},
};

}  // namespace

std::span<const Case> refusal_cases() { return refusal_rules; }

}  // namespace weft::conformance::ex
