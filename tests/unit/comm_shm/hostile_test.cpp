// A peer that writes anything into the shared memory leaves an error, or wrong sums of its own, and never a crash: this test
// plays rank 1 by writing its memory; rank 0 is a real one.
#include <gmock/gmock.h>

#include <random>

#include "tests/support/communicator/reference.h"
#include "tests/unit/comm_shm/one_mapping.h"

namespace weft::test {
namespace {

using comm_shm::Channel;
using comm_shm::Letter;
using comm_shm::SlotHeader;
using comm_shm::State;
using testing::HasSubstr;

constexpr Duration timeout = std::chrono::milliseconds(20);

class Hostile : public testing::Test {
 protected:
  Hostile() {
    segment_.control(1).state = State::open;
    group_ = mapping_.open(0, timeout);
  }

  // What an honest rank 1 would write for its first collective; `spoil` makes it a lie.
  void answer(plugins::Call call, const std::function<void(SlotHeader&)>& spoil) {
    SlotHeader& header = segment_.slot(1, 0);
    header = {.call = call, .direct = comm_shm::not_direct, .longest = 0};
    spoil(header);
    segment_.control(1).posted = 1;
  }
  Error failure(Result<Work> work) {
    const Status status = finish(std::move(work));
    EXPECT_FALSE(status);
    return status ? Error{} : status.error();
  }
  void mail(const Letter& letter, Bytes counted) {
    std::memcpy(segment_.mail(1, 0), &letter, sizeof(letter));
    segment_.channel(1, 0).mailed = counted;
  }
  Buffer all() { return {.data = data_.data(), .size = data_.size()}; }
  Error receive() { return failure(group_->recv(all(), DType::u8, 1, 5, {})); }

  OneMapping mapping_{2, 64 << 10};
  comm_shm::Segment segment_ = mapping_.segment();
  Data data_ = Data(4096);
  std::unique_ptr<Group> group_;
};

constexpr plugins::Call sum_of_4096{.kind = plugins::Kind::all_reduce, .dtype = 0, .total = 4096};

TEST_F(Hostile, HeadersThatAreNoneAreOtherCalls) {
  answer(sum_of_4096, [](SlotHeader& header) { std::memset(static_cast<void*>(&header), 0xff, sizeof(header)); });
  const Error error = failure(group_->all_reduce(all(), DType::f32, ReduceOp::sum, {}));
  EXPECT_EQ(error.code, ErrorCode::invalid_argument);
  EXPECT_THAT(error.message, HasSubstr("called unknown"));
}

TEST_F(Hostile, DataOutsideAPeersMemoryIsRefused) {
  for (const std::uint64_t lie : {std::uint64_t{64}, ~std::uint64_t{1}, std::uint64_t{1} << 40}) {
    OneMapping mapping(2);
    comm_shm::Segment segment = mapping.segment();
    segment.control(1).state = State::open;
    const auto group = mapping.open(0, timeout);
    segment.slot(1, 0) = {.call = {.kind = plugins::Kind::all_gather, .dtype = 0, .total = 2048}, .direct = lie};
    segment.control(1).posted = 1;
    const Error error = failure(group->all_gather(all().slice(0, 2048), all(), DType::f32, {}));
    EXPECT_EQ(error.code, ErrorCode::data_loss) << error.message;
  }
}

TEST_F(Hostile, PartsThatDoNotFitAreRefused) {
  const plugins::Call call{.kind = plugins::Kind::all_to_all, .dtype = 5, .total = 2048};
  segment_.slot_parts(1, 0)[0] = {.offset = 0, .bytes = ~std::uint64_t{0}};
  answer(call, [](SlotHeader&) {});
  const Error error = failure(group_->all_to_all(all().slice(0, 2048), all().slice(2048, 2048), DType::u8, {}));
  EXPECT_EQ(error.code, ErrorCode::invalid_argument) << error.message;
  EXPECT_THAT(error.message, HasSubstr("where this rank takes 1024"));
}

TEST_F(Hostile, PartsWithoutAnEndAreRefused) {
  segment_.slot_parts(1, 0)[0] = {.offset = 0, .bytes = 1024};
  answer({.kind = plugins::Kind::all_to_all, .dtype = 5, .total = 2048},
         [](SlotHeader& header) { header.longest = ~std::uint64_t{0}; });
  EXPECT_EQ(failure(group_->all_to_all(all().slice(0, 2048), all().slice(2048, 2048), DType::u8, {})).code,
            ErrorCode::data_loss);
}

TEST_F(Hostile, LettersThatCannotBeAreDamage) {
  const Bytes ring = segment_.layout().mail;
  const struct {
    Letter letter;
    Bytes counted;
  } lies[] = {
      {{}, ring + 16},                             // more than the ring holds
      {{}, ~Bytes{0}},                             //
      {{.tag = 5}, 8},                             // half a letter
      {{.tag = 5, .bytes = 0}, 32},                // an empty one
      {{.tag = 5, .bytes = 100}, 16},              // without its bytes
      {{.tag = 5, .bytes = ~Bytes{0}}, 16},        //
      {{.tag = 5, .bytes = ring}, ring},           // a small one that is large
      {{.tag = 5, .bytes = ~Bytes{0} - 20}, ring}  //
  };
  for (const auto& lie : lies) {
    OneMapping mapping(2, 64 << 10);
    segment_ = mapping.segment();
    segment_.control(1).state = State::open;
    group_ = mapping.open(0, timeout);
    mail(lie.letter, lie.counted);
    const Error error = receive();
    EXPECT_EQ(error.code, ErrorCode::data_loss) << lie.letter.bytes << ": " << error.message;
    EXPECT_THAT(error.message, HasSubstr("rank 1"));
    group_.reset();
  }
}

TEST_F(Hostile, ALetterOfAnotherLengthIsNamed) {
  mail({.tag = 5, .number = 1, .bytes = 12}, 16);
  const Error error = receive();
  EXPECT_EQ(error.code, ErrorCode::invalid_argument);
  EXPECT_THAT(error.message, HasSubstr("sent 12 bytes with tag 5, where this rank receives 4096"));
}

TEST_F(Hostile, MoreBytesThanAMessageHasAreDamage) {
  mail({.tag = 5, .number = 1, .bytes = 4096}, 16);
  segment_.channel(1, 0).pushed = 5000;
  EXPECT_EQ(receive().code, ErrorCode::data_loss);
}

TEST_F(Hostile, CountersThatGoBackAreDamage) {
  segment_.channel(0, 1).taken = 1;
  EXPECT_EQ(failure(group_->send(all(), DType::u8, 1, 0, {})).code, ErrorCode::data_loss);
}

TEST_F(Hostile, AGrantThatChangesInTheMiddleIsDamage) {
  Data large(60'000);
  const Buffer buffer{.data = large.data(), .size = large.size()};
  Channel& channel = segment_.channel(0, 1);
  channel.granted = 1;
  auto first = group_->send(buffer, DType::u8, 1, 0, {});
  ASSERT_TRUE(first);
  channel.granted = 2;
  EXPECT_EQ(failure(group_->send(buffer.slice(0, 20'000), DType::u8, 1, 0, {})).code, ErrorCode::data_loss);
}

TEST_F(Hostile, AReasonOfAnyBytesIsCutAndCleaned) {
  segment_.control(1).reason.fill('\n');
  segment_.control(1).reason_bytes = ~0u;
  segment_.control(1).state = State::broken;
  const Error error = failure(group_->barrier({}));
  EXPECT_EQ(error.code, ErrorCode::unavailable);
  EXPECT_LT(error.message.size(), 2000u);
  EXPECT_EQ(error.message.find('\n'), std::string::npos);
}

// Anything at all, at any moment of any operation. Every operation must end by its deadline.
TEST(HostileNoise, NeverCrashesARank) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 300; ++round) {
    const OneMapping mapping(2, 64 << 10);
    comm_shm::Segment segment = mapping.segment();
    segment.control(1).state = State::open;
    const auto group = mapping.open(0, std::chrono::milliseconds(2));
    // Its counters, first small ones so that some of it passes the first checks, then its slots and rings.
    const auto word = [&] { return random() >> (random() % 64); };
    segment.control(1).posted = word();
    segment.control(1).bell = static_cast<std::uint32_t>(word());
    segment.control(1).waiting_for = static_cast<std::uint32_t>(word());
    if (round % 3 == 0) segment.control(1).state = static_cast<State>(word());
    for (Channel* channel : {&segment.channel(0, 1), &segment.channel(1, 0)}) {
      channel->granted = word();
      channel->taken = word();
      channel->pulled = word();
    }
    segment.channel(1, 0).mailed = word() & ~std::uint64_t{15};
    segment.channel(1, 0).pushed = word();
    std::vector<std::uint64_t> noise(segment.layout().mail / 8);
    for (auto& each : noise)
      each = word();
    std::memcpy(segment.mail(1, 0), noise.data(), noise.size() * 8);
    SlotHeader& header = segment.slot(1, 0);
    header = {.call = {.kind = static_cast<plugins::Kind>(1 + round % 7), .dtype = 5, .total = word()},
              .direct = random() % 2 ? word() : comm_shm::not_direct,
              .longest = word()};
    segment.slot_parts(1, 0)[0] = {.offset = word(), .bytes = word()};

    Data data(2048), out(4096);
    const Buffer in{.data = data.data(), .size = 2048}, wide{.data = out.data(), .size = 4096};
    const Bytes parts[] = {1024, 1024};
    if (random() % 2) header.call.total = round % 7 == 1 || round % 7 == 0 ? 2048 : 4096;
    const Time begin = Clock::now();
    switch (round % 9) {
      case 0: static_cast<void>(finish(group->all_reduce(in, DType::u8, ReduceOp::sum, {}))); break;
      case 1: static_cast<void>(finish(group->all_gather(in, wide, DType::u8, {}))); break;
      case 2: static_cast<void>(finish(group->reduce_scatter(wide, in, DType::u8, ReduceOp::max, {}))); break;
      case 3: static_cast<void>(finish(group->broadcast(wide, DType::u8, 1, {}))); break;
      case 4: static_cast<void>(finish(group->all_to_all(wide, {out.data(), 4096}, DType::u8, {}))); break;
      case 5:
        static_cast<void>(finish(group->all_to_all_v(in, parts, {out.data(), 2048}, parts, DType::u8, {})));
        break;
      case 6: static_cast<void>(finish(group->barrier({}))); break;
      case 7: static_cast<void>(finish(group->send(wide, DType::u8, 1, 1, {}))); break;
      case 8: static_cast<void>(finish(group->recv(wide, DType::u8, 1, 1, {}))); break;
    }
    EXPECT_LT(Clock::now() - begin, std::chrono::seconds(1));
  }
}

}  // namespace
}  // namespace weft::test
