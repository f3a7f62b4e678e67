#include "plugins/comm_shm/segment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "plugins/comm_shm/memory.h"

namespace weft::comm_shm {
namespace {

TEST(Layout, PutsEverythingApartAndKeepsToItsMemory) {
  for (const std::int32_t size : {2, 3, 8, 64, 128})
    for (const Bytes memory : {Bytes{1} << 20, Bytes{3} << 20}) {
      const auto layout = Layout::make(size, memory, 100);
      ASSERT_TRUE(layout) << layout.error().message;
      const auto ranks = static_cast<Bytes>(size);
      EXPECT_GE(layout->channels_at, sizeof(RankControl));
      EXPECT_GE(layout->slots_at, layout->channels_at + ranks * sizeof(Channel));
      EXPECT_GE(layout->mail_at, layout->slots_at + 2 * layout->slot_stride);
      EXPECT_GE(layout->bulk_at, layout->mail_at + ranks * layout->mail);
      EXPECT_GE(layout->heap_at, layout->bulk_at + ranks * layout->bulk);
      EXPECT_EQ(layout->stride, layout->heap_at + 4096);
      EXPECT_LE(2 * layout->slot_stride + ranks * (layout->mail + layout->bulk), memory);
      EXPECT_GE(layout->slot_data, ranks * line);
      EXPECT_EQ(layout->slot_data % line + layout->mail % line + layout->bulk % line, 0u);
    }
}

TEST(Layout, RefusesTooLittleMemoryAndTooManyRanks) {
  const auto little = Layout::make(8, 4096, 0);
  ASSERT_FALSE(little);
  EXPECT_EQ(little.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(little.error().message, testing::HasSubstr("memory = 4096 bytes, but a group of 8 ranks needs at least"));
  EXPECT_FALSE(Layout::make(129, 1 << 20, 0));
  EXPECT_FALSE(Layout::make(2, ~Bytes{0}, 0));
  EXPECT_FALSE(Layout::make(2, 1 << 20, ~Bytes{0}));
}

TEST(Memory, ThatIsNotSealedOrHasAnotherSizeIsRefused) {
  auto file = make_memory(8192);
  ASSERT_TRUE(file);
  EXPECT_NE(::ftruncate(file->get(), 0), 0) << "a peer must not be able to shrink it";
  EXPECT_EQ(Memory::map(std::move(*file), 4096).error().code, ErrorCode::refused);
  plugins::Descriptor unsealed(::memfd_create("test", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(unsealed.get(), 4096), 0);
  EXPECT_EQ(Memory::map(std::move(unsealed), 4096).error().code, ErrorCode::refused);
}

}  // namespace
}  // namespace weft::comm_shm
