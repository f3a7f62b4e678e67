// SIGKILL at any moment: no id lost, none repeated.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <random>

#include "frontend/batch/batch_run.h"
#include "tests/unit/batch/batch_fixture.h"

namespace weft::frontend {
namespace {

using test::FakeRouter;

class BatchKill : public test::BatchTest {
 protected:
  // In a child: opens and runs; each request that ends is a byte into the pipe. Exit code 0 where all was done.
  [[noreturn]] void child(int pipe, std::uint32_t seed) const {
    auto batch = BatchRun::open(options(), {});
    if (!batch) {
      std::fprintf(stderr, "%s\n", batch.error().message.c_str());
      std::_Exit(3);
    }
    if (!(*batch)->has_work()) std::_Exit(0);
    FakeRouter router(**batch, {.seed = seed, .after = [pipe](std::int64_t) { (void)!::write(pipe, "x", 1); }});
    const auto summary = (*batch)->run(router);
    std::_Exit(summary && summary->left == 0 ? 0 : 4);
  }

  // Kills the child once it has ended `count` requests. Its status.
  int run_and_kill(int count, std::uint32_t seed) const {
    int ends[2] = {-1, -1};
    EXPECT_EQ(pipe(ends), 0);
    const pid_t pid = fork();
    if (pid == 0) {
      ::close(ends[0]);
      child(ends[1], seed);
    }
    ::close(ends[1]);
    char byte = 0;
    while (count > 0 && ::read(ends[0], &byte, 1) == 1)
      --count;
    ::kill(pid, SIGKILL);
    int status = 0;
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    ::close(ends[0]);
    return status;
  }
};

TEST_F(BatchKill, AtAnyMomentTheNextRunGoesOnUntilEveryLineHasOneResult) {
  constexpr int lines = 300;
  write_input("\n" + test::prompt_lines(lines / 2) + "{broken\n\n" + test::prompt_line(1) + [] {
    std::string more;
    for (int id = lines / 2 + 1; id <= lines; ++id)
      more += test::prompt_line(id);
    return more;
  }());
  std::mt19937 random(7);
  int kills = 0;
  for (int round = 0;; ++round) {
    ASSERT_LT(round, 1000);
    const int status = run_and_kill(static_cast<int>(random() % 25), static_cast<std::uint32_t>(random()));
    if (WIFSIGNALED(status)) {
      ASSERT_EQ(WTERMSIG(status), SIGKILL);
      ++kills;
      continue;
    }
    ASSERT_EQ(WEXITSTATUS(status), 0);
    break;
  }
  EXPECT_GT(kills, 5);
  const auto all = results();  // fails where an id is there twice
  EXPECT_EQ(all.size(), lines + 2U);
  for (const auto& [id, result] : all) {
    const bool failed = id == "weft-" + std::to_string(lines / 2 + 2) || id == "weft-" + std::to_string(lines / 2 + 4);
    EXPECT_EQ(result["response"]["status_code"], failed ? 400 : 200) << id;
  }
}

}  // namespace
}  // namespace weft::frontend
