// What waits in which lane, in which order, and how far ahead is read.
#include "frontend/batch/feeder.h"

#include "tests/unit/batch/batch_fixture.h"

namespace weft::frontend {
namespace {

using test::prompt_line;
using test::prompt_lines;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class FeederTest : public test::BatchTest {
 protected:
  Feeder& open(const std::string& text, const std::vector<std::int64_t>& done_lines = {}) {
    write_input(text);
    input_ = InputFile::scan(options_.input).value();
    done_.assign(input_.has_request.size(), false);
    for (const std::int64_t line : done_lines)
      done_[static_cast<std::size_t>(line)] = true;
    feeder_ = Feeder::open(options_, tools_, input_, done_).value();
    return *feeder_;
  }
  void read(Lane& lane, std::size_t wanted = 1'000'000) {
    ASSERT_TRUE(feeder_->read(lane, wanted, Time::max(), failed_));
  }
  static std::vector<std::int64_t> drain(Lane& lane) {
    std::vector<std::int64_t> lines;
    while (lane.waiting() > 0)
      lines.push_back(lane.pop().line);
    return lines;
  }

  BatchOptions options_ = options();
  BatchTools tools_;
  InputFile input_;
  std::vector<bool> done_;
  std::optional<Feeder> feeder_;
  std::vector<FailedLine> failed_;
};

TEST_F(FeederTest, LongestGoesFirstAndTiesByLine) {
  open(
      "{\"prompt\": [1], \"max_tokens\": 5}\n{\"prompt\": [1,2,3], \"max_tokens\": 5}\n{\"prompt\": [1], "
      "\"max_tokens\": 7}\n"
      "{\"prompt\": [1], \"max_tokens\": 100}\n");
  Lane& lane = feeder_->lanes().front();
  read(lane);
  EXPECT_THAT(drain(lane), ElementsAre(4, 2, 3, 1));
  EXPECT_TRUE(feeder_->is_empty());
}

TEST_F(FeederTest, ReadsNoFurtherThanTheWindow) {
  options_.window = 10;
  Lane& lane = open(prompt_lines(25)).lanes().front();
  read(lane);
  EXPECT_EQ(lane.waiting(), 10U);
  EXPECT_FALSE(lane.has_space());
  (void)lane.pop();
  read(lane);
  EXPECT_EQ(lane.waiting(), 10U);
  read(lane, 3);
  EXPECT_EQ(lane.waiting(), 10U);
}

TEST_F(FeederTest, ReadsOnlyWhatIsWanted) {
  Lane& lane = open(prompt_lines(25)).lanes().front();
  read(lane, 3);
  EXPECT_EQ(lane.waiting(), 3U);
}

TEST_F(FeederTest, SkipsWhatIsDoneAndBlank) {
  Lane& lane = open("\n" + prompt_line(2) + "  \n" + prompt_line(4) + prompt_line(5), {4}).lanes().front();
  read(lane);
  EXPECT_THAT(drain(lane), ElementsAre(2, 5));
  EXPECT_THAT(failed_, IsEmpty());
}

TEST_F(FeederTest, EveryLaterLineWithTheSameCustomIdNamesBothLines) {
  Lane& lane = open(prompt_line(7) + prompt_line(8) + prompt_line(7) + prompt_line(7)).lanes().front();
  read(lane);
  EXPECT_THAT(drain(lane), ElementsAre(1, 2));
  ASSERT_EQ(failed_.size(), 2U);
  EXPECT_EQ(failed_[0].error.message, "line 3: custom_id 'r7' is line 1's already; give each line its own");
  EXPECT_EQ(failed_[1].error.message, "line 4: custom_id 'r7' is line 1's already; give each line its own");
  EXPECT_EQ(failed_[0].custom_id, "r7");
}

TEST_F(FeederTest, ACustomIdOfALineDoneEarlierIsStillTaken) {
  read(open(prompt_line(7) + prompt_line(7), {1}).lanes().front());
  ASSERT_EQ(failed_.size(), 1U);
  EXPECT_THAT(failed_[0].error.message, HasSubstr("is line 1's already"));
}

TEST_F(FeederTest, AMissingCustomIdCountsAsTheLinesName) {
  read(open("{\"prompt\": [1]}\n{\"prompt\": [1], \"custom_id\": \"line-1\"}\n").lanes().front());
  ASSERT_EQ(failed_.size(), 1U);
  EXPECT_EQ(failed_[0].line, 2);
}

TEST_F(FeederTest, APromptThatFillsTheContextFailsAndMaxTokensAreClipped) {
  options_.max_context = 4;
  Lane& lane =
      open("{\"prompt\": [1,2,3,4]}\n{\"prompt\": [1,2,3], \"max_tokens\": 9}\n{\"prompt\": []}\n").lanes().front();
  read(lane);
  ASSERT_EQ(failed_.size(), 2U);
  EXPECT_THAT(failed_[0].error.message, HasSubstr("line 1: prompt of 4 tokens fills the context of 4"));
  EXPECT_THAT(failed_[1].error.message, HasSubstr("line 3: the prompt is empty"));
  ASSERT_EQ(lane.waiting(), 1U);
  EXPECT_EQ(lane.pop().request.stop.max_tokens, 1);
}

TEST(PartEnds, AreEvenAndTheFirstPartsHaveTheRemainder) {
  std::vector<bool> has_request(11, true);
  has_request[0] = false;
  const std::vector<bool> none(11, false);
  EXPECT_THAT(part_ends(has_request, none, 2), ElementsAre(5, 10));
  EXPECT_THAT(part_ends(has_request, none, 3), ElementsAre(4, 7, 10));
  EXPECT_THAT(part_ends(has_request, none, 4), ElementsAre(3, 6, 8, 10));
  std::vector<bool> done = none;
  done[1] = done[2] = done[3] = true;
  EXPECT_THAT(part_ends(has_request, done, 2), ElementsAre(7, 10));
  EXPECT_THAT(part_ends(std::vector<bool>(2, true), std::vector<bool>(2, false), 3), ElementsAre(1, 1, 1));
}

TEST_F(FeederTest, StaticPartsGoToTheirReplicasInOrderOfTheInput) {
  options_.distribution = "static";
  options_.replicas = {0, 1, 2};
  std::string text;
  for (int id = 1; id <= 8; ++id)
    text += prompt_line(id, id);  // the longest comes last: its length must not matter
  open(text);
  ASSERT_EQ(feeder_->lanes().size(), 3U);
  const std::vector<std::vector<std::int64_t>> parts{{1, 2, 3}, {4, 5, 6}, {7, 8}};
  for (std::size_t i = 0; i < parts.size(); ++i) {
    Lane& lane = feeder_->lanes()[i];
    EXPECT_EQ(lane.replica(), static_cast<ReplicaId>(i));
    read(lane);
    EXPECT_EQ(drain(lane), parts[i]);
  }
  EXPECT_TRUE(feeder_->is_empty());
}

TEST_F(FeederTest, StaticPartsKnowTheCustomIdsOfPartsBeforeThem) {
  options_.distribution = "static";
  open(prompt_line(1) + prompt_line(2) + prompt_line(3) + prompt_line(1));
  read(feeder_->lanes()[1]);  // the later part first
  ASSERT_EQ(failed_.size(), 1U);
  EXPECT_THAT(failed_[0].error.message, HasSubstr("line 4: custom_id 'r1' is line 1's already"));
}

}  // namespace
}  // namespace weft::frontend
