// "weft.executor.log_tail/1", where log_tails is declared.
#include <fmt/format.h>

#include <condition_variable>
#include <mutex>

#include "tests/conformance/executor/bench.h"
#include "tests/conformance/executor/groups.h"
#include "weft/executor_log_tail.h"

namespace weft::conformance::ex {
namespace {

ExecutorLogTail& tails_of(const Bench& bench) {
  auto* const tails = static_cast<ExecutorLogTail*>(bench->query(ExecutorLogTail::interface_id));
  bench.context().expect(
      tails != nullptr, fmt::format("log_tails is declared, and query(\"{}\") is null", ExecutorLogTail::interface_id));
  bench.context().expect(bench->query(ExecutorLogTail::interface_id) == tails, "query() gave two interfaces");
  return *tails;
}

// Output that is carried over a wire may need a moment.
void expect_tail(const Bench& bench, const GangId& gang, std::int32_t rank, std::int32_t lines,
                 const std::string& expected) {
  ExecutorLogTail& tails = tails_of(bench);
  const Deadline deadline = Deadline::in(patience(bench.context()));
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  Result<std::string> got = tails.log_tail(gang, rank, lines, deadline);
  for (; got && *got != expected && !deadline.passed(); got = tails.log_tail(gang, rank, lines, deadline))
    never.wait_for(lock, std::chrono::milliseconds(5));
  const std::string what = fmt::format("the last {} lines of rank {} of {}.{}", lines, rank, gang.id, gang.incarnation);
  bench.context().expect_ok(got ? Status{} : Status(tl::unexpected(got.error())), what);
  bench.context().expect(*got == expected, fmt::format("{} are '{}', expected '{}'", what, *got, expected));
}

GangSpec logging_gang(const Bench& bench, const GangId& id, std::int32_t ranks) {
  GangSpec spec = bench.gang(id, ranks);
  for (RankSpec& rank : spec.ranks)
    rank.log_path = (bench.context().directory() / fmt::format("{}.{}-{}", id.id, id.incarnation, rank.rank)).string();
  return spec;
}

void last_lines_are_the_last(Context& context) {
  const Bench bench(context);
  const GangSpec spec = logging_gang(bench, {"g", 1}, 2);
  const std::vector<Peer*> peers = bench.start(spec);
  expect_tail(bench, spec.gang, 1, 5, "");
  peers[0]->order({"print", "1", "one\ntwo\n"});
  peers[0]->order({"print", "2", "three\n"});
  peers[1]->order({"print", "1", "the other\n"});
  expect_tail(bench, spec.gang, 0, 2, "two\nthree");
  expect_tail(bench, spec.gang, 0, 100, "one\ntwo\nthree");
  expect_tail(bench, spec.gang, 1, 1, "the other");
  bench.end(spec);
  expect_tail(bench, spec.gang, 0, 1, "three");
  const GangSpec next = logging_gang(bench, {"g", 2}, 1);
  bench.start(next)[0]->order({"print", "1", "of the next\n"});
  expect_tail(bench, next.gang, 0, 9, "of the next");
  bench.end(next);
}

void what_is_not_there_is_not_found(Context& context) {
  const Bench bench(context);
  const GangSpec spec = logging_gang(bench, {"g", 1}, 1);
  bench.start(spec)[0]->order({"print", "1", "there\n"});
  ExecutorLogTail& tails = tails_of(bench);
  const auto refuse = [&](const GangId& gang, std::int32_t rank, std::int32_t lines, ErrorCode code,
                          std::string_view what) {
    context.expect_error(tails.log_tail(gang, rank, lines, Deadline::in(patience(context))), code, what);
  };
  refuse({"other", 1}, 0, 1, ErrorCode::not_found, "the log of a gang that never was");
  refuse({"g", 2}, 0, 1, ErrorCode::not_found, "the log of an incarnation that never was");
  refuse({"g", 1}, 7, 1, ErrorCode::not_found, "the log of a rank that never was");
  refuse({"g", 1}, 0, 0, ErrorCode::invalid_argument, "no lines of a log");
  refuse({"g", 1}, 0, -1, ErrorCode::invalid_argument, "less than no lines of a log");
  const GangSpec silent = bench.gang({"silent", 1}, 1);  // without a log_path
  bench.start(silent);
  refuse({"silent", 1}, 0, 1, ErrorCode::not_found, "the log of a rank whose output is discarded");
  bench.end(silent);
  bench.end(spec);
}

const Case log_tail_rules[] = {
    {"EX-98", Level::must, "cap:log_tails", "1",
     "the last lines of a rank are those that it wrote last, while it lives and when it has ended",
     "They say why a rank was lost.", last_lines_are_the_last},
    {"EX-99", Level::must, "cap:log_tails", "1",
     "a log of a gang, incarnation or rank that never was, or that is discarded, is not_found",
     "Another's last words would mislead.", what_is_not_there_is_not_found},
};

}  // namespace

std::span<const Case> log_tail_cases() { return log_tail_rules; }

}  // namespace weft::conformance::ex
