// What a case says of a change that it sees.
#include "tests/conformance/plugin/footprint.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>

namespace weft::conformance {
namespace {

using Variables = std::map<std::string, std::string>;

TEST(Footprint, AnEnvironmentsChangeIsToldByNames) {
  const Variables before{{"KEPT", "1"}, {"SECRET", "old"}, {"GONE", "x"}};
  EXPECT_EQ(change(before, before), "");
  EXPECT_EQ(change(before, {{"KEPT", "1"}, {"SECRET", "new"}, {"CAME", "y"}}),
            "added CAME, removed GONE, changed SECRET");
}

TEST(Footprint, AnEnvironmentsValuesAreCompared) {
  ::setenv("WEFT_FOOTPRINT_TEST", "one", 1);
  const Variables before = look_at_settings().environment;
  ::setenv("WEFT_FOOTPRINT_TEST", "two=2\nA_LINE=", 1);
  EXPECT_EQ(change(before, look_at_settings().environment), "changed WEFT_FOOTPRINT_TEST");
  ::unsetenv("WEFT_FOOTPRINT_TEST");
  EXPECT_EQ(change(before, look_at_settings().environment), "removed WEFT_FOOTPRINT_TEST");
}

TEST(Footprint, AHandlersFlagsAndMaskAreLookedAtToo) {
  struct sigaction kept {};
  ::sigaction(SIGUSR2, nullptr, &kept);
  const auto before = look_at_settings().signal_handlers;
  struct sigaction changed = kept;
  changed.sa_flags |= SA_RESTART;
  ::sigaction(SIGUSR2, &changed, nullptr);
  EXPECT_EQ(change(before, look_at_settings().signal_handlers), "changed SIGUSR2");
  changed = kept;
  sigaddset(&changed.sa_mask, SIGALRM);
  ::sigaction(SIGUSR2, &changed, nullptr);
  EXPECT_EQ(change(before, look_at_settings().signal_handlers), "changed SIGUSR2");
  ::sigaction(SIGUSR2, &kept, nullptr);
  EXPECT_EQ(change(before, look_at_settings().signal_handlers), "");
}

TEST(Footprint, OtherSettingsAreToldAsTheyWereAndAre) {
  EXPECT_EQ(change("C", "C"), "");
  EXPECT_EQ(change("C", "C.UTF-8"), "'C' became 'C.UTF-8'");
}

}  // namespace
}  // namespace weft::conformance
