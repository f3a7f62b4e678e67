#include "plugins/comm_shm/probe.h"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace weft::comm_shm {
namespace {

TEST(Probe, SaysYesHere) {
  const Status can = probe();
  EXPECT_TRUE(can) << can.error().message;
}

TEST(Probe, SaysWhyNot) {
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit none{.rlim_cur = 0, .rlim_max = 0};
    ::setrlimit(RLIMIT_NOFILE, &none);
    const Status can = probe();
    ::_exit(!can && can.error().message.starts_with("memfd_create: ") ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace weft::comm_shm
