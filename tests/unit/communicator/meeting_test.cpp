// Where ranks meet, seen without a transport.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "core/store/local_store.h"
#include "core/store/store_host.h"
#include "plugins/common/meeting.h"

namespace weft::plugins {
namespace {

using testing::HasSubstr;

GroupSpec spec_of(StoreClient& store, std::int32_t rank) {
  return {
      .id = "meeting/1", .rank = rank, .size = 2, .store = &store, .deadline = Deadline::in(std::chrono::seconds(30))};
}

TEST(Meeting, SaysWhyARankThatCameAndLeftIsMissing) {
  store::StoreHost host;
  store::LocalStore store(host);
  const Meeting left("test/1", spec_of(store, 1));
  left.leave_reason({ErrorCode::resource_exhausted, "no memory for the buffers"});
  left.withdraw();
  GroupSpec spec = spec_of(store, 0);
  spec.deadline = Deadline::in(std::chrono::milliseconds(50));
  const auto met = Meeting("test/1", spec).meet("");
  ASSERT_FALSE(met);
  EXPECT_EQ(met.error().code, ErrorCode::deadline_exceeded);
  EXPECT_THAT(met.error().message, HasSubstr("1 of 2 ranks did not come in time: rank 1 (it came, and left: "));
  EXPECT_THAT(met.error().message, HasSubstr("no memory for the buffers"));
}

}  // namespace
}  // namespace weft::plugins
