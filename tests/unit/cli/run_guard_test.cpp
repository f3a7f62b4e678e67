#include "cli/run_guard.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "core/plugin/plugin_calls.h"
#include "tests/support/temporary_directory.h"

namespace weft::cli {
namespace {

using std::chrono::seconds;
using testing::ExitedWithCode;

// Calls `inside` as a plugin's call.
template <class Inside>
void call(Duration limit, Inside inside) {
  (void)PluginCalls("executor/x", limit).make("launch", [&]() -> Status {
    inside();
    return {};
  });
}

void exit_in_a_call() {
  call(Duration::max(), [] { std::exit(0); });  // NOLINT(concurrency-mt-unsafe): the fault itself
}

TEST(RunGuardDeathTest, ExitInAPluginsCallIsAFailureThatNamesIt) {
  EXPECT_EXIT(
      {
        const RunGuard guard;
        exit_in_a_call();
      },
      ExitedWithCode(4), "error: the process was ended by plugin executor/x in launch, which called exit\\(\\)\n$");
}

TEST(RunGuardDeathTest, ExitElsewhereIsAFailureToo) {
  EXPECT_EXIT(
      {
        const RunGuard guard;
        std::quick_exit(0);
      },
      ExitedWithCode(4), "error: the process was ended by a call of exit\\(\\)");
}

TEST(RunGuardDeathTest, ThoseWithinEndWithoutDisarmingThoseWithout) {
  EXPECT_EXIT(
      {
        const RunGuard outer;
        { const RunGuard inner; }
        exit_in_a_call();
      },
      ExitedWithCode(4), "error: ");
  EXPECT_EXIT(
      {
        { const RunGuard guard; }
        exit_in_a_call();
      },
      ExitedWithCode(0), "^$");
}

TEST(RunGuardDeathTest, AForkedChildsExitIsItsOwnAffair) {
  EXPECT_EXIT(
      {
        const RunGuard guard;
        const pid_t child = fork();
        if (child == 0) exit_in_a_call();
        int status = -1;
        (void)waitpid(child, &status, 0);
        _exit(WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 33 : 1);
      },
      ExitedWithCode(33), "^$");
}

TEST(RunGuardDeathTest, AnEndByForceRemovesTokenAndEndpoint) {
  const test::TemporaryDirectory directory;
  for (const char* file : {"token", "endpoint", "lock"})
    directory.write(file, "");
  EXPECT_EXIT(
      {
        RunGuard guard;
        guard.set_run_directory(directory.path());
        exit_in_a_call();
      },
      ExitedWithCode(4), "answers that were written stay\n$");
  EXPECT_NE(access((directory.path() + "/token").c_str(), F_OK), 0);
  EXPECT_NE(access((directory.path() + "/endpoint").c_str(), F_OK), 0);
  EXPECT_EQ(access((directory.path() + "/lock").c_str(), F_OK), 0);
}

TEST(EndIfStuckDeathTest, EndsTheProcessOnceACallIsPastItsLimit) {
  EXPECT_EXIT(call(Duration::zero(), [] { end_if_stuck(seconds(0), seconds(90)); }), ExitedWithCode(130),
              "error: ended by force: plugin executor/x has been in launch for 0 s\n$");
  call(seconds(1000), [] { end_if_stuck(seconds(89), seconds(90)); });
  end_if_stuck(seconds(89), seconds(90));
}

TEST(EndIfStuckDeathTest, EndsItAfterItsPatienceForWhateverReason) {
  EXPECT_EXIT(end_if_stuck(seconds(90), seconds(90)), ExitedWithCode(130),
              "error: ended by force: it did not stop within 90 s\n$");
  EXPECT_EXIT(call(Duration::max(), [] { end_if_stuck(seconds(95), seconds(90)); }), ExitedWithCode(130),
              "did not stop within 95 s \\(plugin executor/x in launch\\)\n$");
}

}  // namespace
}  // namespace weft::cli
