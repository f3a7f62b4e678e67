#include "tests/unit/schedule/fake_replica.h"

#include <fmt/format.h>

#include "weft/block_hash.h"

namespace weft::engine {

TokenId fake_next_token(std::span<const TokenId> tokens) {
  return static_cast<TokenId>(next_block_hash(block_hash_seed, tokens) % fake_vocabulary);
}

std::vector<TokenId> fake_generation(std::vector<TokenId> prompt, int count) {
  const std::size_t from = prompt.size();
  for (int i = 0; i < count; ++i)
    prompt.push_back(fake_next_token(prompt));
  return {prompt.begin() + static_cast<std::ptrdiff_t>(from), prompt.end()};
}

FakeReplica::FakeReplica(const SchedulerOptions& options)
    : options_(options),
      cache_(static_cast<std::size_t>(options.blocks) * static_cast<std::size_t>(options.block_size)) {}

void FakeReplica::expect(const Request& request) {
  truth_[request.id] = request.prompt;
  scores_wanted_[request.id] = request.logprobs.prompt ? static_cast<std::int32_t>(request.prompt.size()) - 1 : 0;
  scored_[request.id] = request.logprobs.prompt ? request.prompt_scored : 0;
}

void FakeReplica::problem(const SequenceStep& sequence, const std::string& what) {
  problems_.push_back(fmt::format("step {} request {}: {}", last_step_, sequence.request, what));
}

std::vector<TokenId> FakeReplica::run(const StepPlan& plan) {
  if (plan.step <= last_step_) problems_.push_back(fmt::format("step {} after {}", plan.step, last_step_));
  last_step_ = plan.step;
  if (plan.rows() > options_.max_batch_tokens)
    problems_.push_back(fmt::format("step {}: {} rows, budget {}", plan.step, plan.rows(), options_.max_batch_tokens));
  if (plan.sequences.size() > static_cast<std::size_t>(options_.max_requests))
    problems_.push_back(fmt::format("step {}: {} sequences", plan.step, plan.sequences.size()));
  std::set<RequestId> seen;
  std::set<BlockId> taken;
  std::vector<TokenId> sampled;
  for (const SequenceStep& sequence : plan.sequences) {
    if (!seen.insert(sequence.request).second) problem(sequence, "twice in one plan");
    if (truth_.count(sequence.request) == 0) {
      problem(sequence, "unknown");
      return sampled;
    }
    if (sequence.rows() < 1 || sequence.start < 0) {
      problem(sequence, fmt::format("{} rows from {}", sequence.rows(), sequence.start));
      return sampled;
    }
    if (sequence.start + sequence.rows() >= options_.max_context)
      problem(sequence, "rows up to the end of the context, where no token can follow");
    check_table(sequence, taken);
    if (!problems_.empty()) return sampled;
    const std::vector<TokenId> context = write_and_read(sequence, inputs(plan, sequence));
    check_inputs(sequence, context);
    check_scores(sequence);
    if (sequence.sample) sampled.push_back(fake_next_token(context));
  }
  return samples_[plan.step] = sampled;
}

void FakeReplica::check_table(const SequenceStep& sequence, std::set<BlockId>& taken) {
  const std::int32_t needed = blocks_for(sequence.start + sequence.rows(), options_.block_size);
  if (static_cast<std::int32_t>(sequence.blocks.size()) != needed)
    problem(sequence, fmt::format("table of {} blocks, expected {}", sequence.blocks.size(), needed));
  for (const BlockId block : sequence.blocks) {
    if (block < 0 || block >= options_.blocks) problem(sequence, fmt::format("block {} is not there", block));
    if (!taken.insert(block).second) problem(sequence, fmt::format("block {} is in two places", block));
  }
}

std::vector<TokenId> FakeReplica::inputs(const StepPlan& plan, const SequenceStep& sequence) {
  std::vector<TokenId> tokens = sequence.tokens;
  if (!sequence.tail) return tokens;
  const auto found = samples_.find(sequence.tail->step);
  if (found == samples_.end() || sequence.tail->step >= plan.step ||
      static_cast<std::size_t>(sequence.tail->slot) >= found->second.size()) {
    problem(sequence, "its tail names a sample that is not there");
    tokens.push_back(-1);
  } else {
    tokens.push_back(found->second[static_cast<std::size_t>(sequence.tail->slot)]);
  }
  return tokens;
}

std::vector<TokenId> FakeReplica::write_and_read(const SequenceStep& sequence, const std::vector<TokenId>& tokens) {
  const auto cell = [&](std::int32_t position) -> Cell& {
    const BlockId block = sequence.blocks[static_cast<std::size_t>(position / options_.block_size)];
    return cache_[static_cast<std::size_t>(block * options_.block_size + position % options_.block_size)];
  };
  std::int32_t position = sequence.start;
  for (const TokenId token : tokens) {
    cell(position) = {.request = sequence.request, .position = position, .token = token};
    ++position;
  }
  std::vector<TokenId> context;
  for (std::int32_t p = 0; p < position; ++p) {
    const Cell& read = cell(p);
    if (read.request != sequence.request || read.position != p)
      problem(sequence, fmt::format("position {} reads request {}'s position {}", p, read.request, read.position));
    context.push_back(read.token);
  }
  return context;
}

void FakeReplica::check_scores(const SequenceStep& sequence) {
  if (sequence.scored == 0) return;
  std::int32_t& next = scored_.at(sequence.request);
  const std::int32_t from = sequence.start + sequence.first_scored;
  if (sequence.scored < 0 || sequence.first_scored < 0 || sequence.first_scored + sequence.scored > sequence.rows())
    problem(sequence, fmt::format("scores of {} rows from {} on, of {}", sequence.scored, sequence.first_scored,
                                  sequence.rows()));
  if (from != next) problem(sequence, fmt::format("scores from position {} on, expected {}", from, next));
  next = from + sequence.scored;
  if (next > scores_wanted_.at(sequence.request))
    problem(sequence, fmt::format("scores to position {}, wanted {}", next, scores_wanted_.at(sequence.request)));
}

void FakeReplica::check_inputs(const SequenceStep& sequence, const std::vector<TokenId>& context) {
  std::vector<TokenId>& truth = truth_.at(sequence.request);
  while (truth.size() < context.size())
    truth.push_back(fake_next_token(truth));
  for (std::size_t p = 0; p < context.size(); ++p)
    if (context[p] != truth[p])
      problem(sequence, fmt::format("token {} at position {}, expected {}", context[p], p, truth[p]));
}

}  // namespace weft::engine
