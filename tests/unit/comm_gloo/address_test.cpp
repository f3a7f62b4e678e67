// Where the plugin listens.
#include <gmock/gmock.h>

#include "tests/support/communicator/ranks.h"

namespace weft::test {
namespace {

using testing::HasSubstr;

TEST(GlooOpen, NamesAnAddressThatIsNotOfThisMachine) {
  store::StoreHost host;
  store::LocalStore store(host);
  GroupSpec spec = spec_of(store, "address/1", 0, 2);  // rank 1 never comes: nobody is waited for
  spec.address = "192.0.2.7";
  spec.deadline = Deadline::in(std::chrono::seconds(5));
  const auto group = Plugin::make("gloo")->open(spec);
  ASSERT_FALSE(group);
  EXPECT_EQ(group.error().code, ErrorCode::invalid_argument) << group.error().message;
  EXPECT_THAT(group.error().message, HasSubstr("192.0.2.7"));
}

TEST(GlooOpen, ListensOnTheInterfaceThatTheOptionNamesOrFindsAnAddressItself) {
  auto on_loopback = Plugin::make("gloo", {{.key = "interface", .value = std::string("lo"), .where = "test"}});
  with_group(*on_loopback, 2, [](Group& group) { expect_ok(finish(group.barrier({}))); });
  store::StoreHost host;
  auto communicator = Plugin::make("gloo");
  on_threads(2, [&](std::int32_t rank) {
    store::LocalStore store(host);
    GroupSpec spec = spec_of(store, "route/1", rank, 2);
    spec.address.clear();
    auto group = communicator->open(spec);
    ASSERT_TRUE(group) << group.error().message;
    expect_ok(finish((*group)->barrier({})));
  });
}

}  // namespace
}  // namespace weft::test
