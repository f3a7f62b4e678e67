#include "core/plugin/units.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

namespace weft {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

TEST(Units, ReadDurations) {
  EXPECT_EQ(*parse_duration("5s"), 5s);
  EXPECT_EQ(*parse_duration("200ms"), 200ms);
  EXPECT_EQ(*parse_duration("10m"), 10min);
  EXPECT_EQ(*parse_duration("1.5h"), 90min);
  EXPECT_EQ(*parse_duration("2 d"), 48h);
  EXPECT_EQ(*parse_duration("7us"), 7us);
  EXPECT_EQ(*parse_duration("7ns"), 7ns);
  EXPECT_EQ(*parse_duration("0s"), 0s);
  EXPECT_EQ(*parse_duration("0"), 0s);
  EXPECT_EQ(*parse_duration("0.1s"), 100ms);
}

TEST(Units, ReadSizes) {
  EXPECT_EQ(*parse_bytes("512MiB"), Bytes{512} << 20);
  EXPECT_EQ(*parse_bytes("2GB"), 2'000'000'000u);
  EXPECT_EQ(*parse_bytes("1.5GiB"), Bytes{3} << 29);
  EXPECT_EQ(*parse_bytes("4096"), 4096u);
  EXPECT_EQ(*parse_bytes("10B"), 10u);
  EXPECT_EQ(*parse_bytes("3kB"), 3000u);
  EXPECT_EQ(*parse_bytes("3 KiB"), 3072u);
  EXPECT_EQ(*parse_bytes("0"), 0u);
  EXPECT_EQ(*parse_bytes("9223372036854775807"), 9223372036854775807u);
}

TEST(Units, SayWhatIsWrong) {
  EXPECT_THAT(parse_duration("5").error().message, HasSubstr("the unit is missing"));
  EXPECT_THAT(parse_duration("5 parsecs").error().message, HasSubstr("unknown unit 'parsecs'"));
  EXPECT_THAT(parse_duration("-5s").error().message, HasSubstr("negative"));
  EXPECT_THAT(parse_duration("").error().message, HasSubstr("does not start with a number"));
  EXPECT_THAT(parse_duration("1.2.3s").error().message, HasSubstr("does not start with a number"));
  EXPECT_THAT(parse_duration("fast").error().message, HasSubstr("\"5s\""));
  EXPECT_THAT(parse_duration("999999999999d").error().message, HasSubstr("too large"));
  EXPECT_THAT(parse_duration("99999999999999999999999s").error().message, HasSubstr("too large"));
  EXPECT_THAT(parse_bytes("99999999999TiB").error().message, HasSubstr("too large"));
  EXPECT_THAT(parse_bytes("512 MIB").error().message, HasSubstr("unknown unit 'MIB'"));
  EXPECT_FALSE(parse_bytes(".5GB"));
  EXPECT_FALSE(parse_bytes("5.GB"));
  EXPECT_FALSE(parse_bytes("0x10"));
  EXPECT_FALSE(parse_bytes("1e9"));
}

TEST(Units, PrintWhatTheyReadBack) {
  EXPECT_EQ(format_duration(90s), "90s");
  EXPECT_EQ(format_duration(120s), "2m");
  EXPECT_EQ(format_duration(0s), "0s");
  EXPECT_EQ(format_bytes(Bytes{512} << 20), "512MiB");
  EXPECT_EQ(format_bytes(1500), "1500B");
  EXPECT_EQ(format_bytes(0), "0B");
  for (const std::int64_t ns : {1ll, 1'500ll, 1'000'000'007ll, 3'600'000'000'000ll, 86'400'000'000'000ll})
    EXPECT_EQ(*parse_duration(format_duration(std::chrono::nanoseconds(ns))), std::chrono::nanoseconds(ns));
  for (const Bytes bytes : {Bytes{1}, Bytes{1023}, Bytes{1} << 43, Bytes{12345678901}})
    EXPECT_EQ(*parse_bytes(format_bytes(bytes)), bytes);
}

}  // namespace
}  // namespace weft
