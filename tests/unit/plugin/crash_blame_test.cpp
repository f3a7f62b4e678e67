#include "core/plugin/crash_blame.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>
#include <thread>

#include "core/plugin/crash_note.h"

// Of a plugin: tests/integration/plugins/faults_test.cpp.
namespace weft {
namespace {

using testing::KilledBySignal;

TEST(CrashBlameDeathTest, ACrashOutsideOfPluginsIsTheProgramsOwn) {
  EXPECT_EXIT(
      {
        const CrashBlame blame;
        std::abort();
      },
      KilledBySignal(SIGABRT), "^weft: the process crashed in weft itself: SIGABRT \\(abort\\)\n$");
}

TEST(CrashBlameDeathTest, AnExceptionOfAThreadComesBeforeIt) {
  EXPECT_EXIT(
      {
        const CrashBlame blame;
        // NOLINTNEXTLINE(bugprone-exception-escape): that is what it is about
        std::thread([] { throw std::runtime_error("lost"); }).join();
      },
      KilledBySignal(SIGABRT), "what\\(\\):  lost\nweft: the process crashed in weft itself: SIGABRT");
}

TEST(CrashBlameDeathTest, WhereANoteHasSpokenNothingIsAdded) {
  EXPECT_EXIT(
      {
        const CrashBlame blame;
        const CrashNote note("here");
        std::abort();
      },
      KilledBySignal(SIGABRT), "^weft: here: the process crashed in it: SIGABRT \\(abort\\)\n$");
}

TEST(CrashBlameDeathTest, AForkedChildsCrashIsItsOwnAffair) {
  EXPECT_EXIT(
      {
        const CrashBlame blame;
        const pid_t child = ::fork();
        if (child == 0) std::abort();
        int status = -1;
        (void)::waitpid(child, &status, 0);
        ::_exit(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? 33 : 1);
      },
      testing::ExitedWithCode(33), "^$");
}

TEST(CrashBlameDeathTest, ItsEndLeavesSignalsAsTheyWere) {
  EXPECT_EXIT(
      {
        { const CrashBlame blame; }
        std::abort();
      },
      KilledBySignal(SIGABRT), "^$");
}

}  // namespace
}  // namespace weft
