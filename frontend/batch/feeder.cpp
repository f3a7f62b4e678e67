#include "frontend/batch/feeder.h"

#include <fmt/format.h>

#include <algorithm>

namespace weft::frontend {

std::vector<std::int64_t> part_ends(const std::vector<bool>& has_request, const std::vector<bool>& done,
                                    std::size_t parts) {
  std::size_t left = 0;
  for (std::size_t line = 1; line < has_request.size(); ++line)
    left += has_request[line] && !done[line] ? 1 : 0;
  std::vector<std::int64_t> ends(parts, 0);
  std::size_t line = 0;
  for (std::size_t part = 0; part < parts; ++part) {
    for (std::size_t size = left / parts + (part < left % parts ? 1 : 0); size > 0;)
      if (++line; has_request[line] && !done[line]) --size;
    ends[part] = static_cast<std::int64_t>(line);
  }
  return ends;
}

Result<Feeder> Feeder::open(const BatchOptions& options, const BatchTools& tools, const InputFile& input,
                            const std::vector<bool>& done) {
  Feeder feeder(options, tools, done);
  if (options.distribution == "static") WEFT_TRY(feeder.note_custom_ids(input));
  WEFT_TRY(feeder.open_lanes(input));
  return feeder;
}

Status Feeder::open_lanes(const InputFile& input) {
  const auto window = static_cast<std::size_t>(std::max(options_->window, 1));
  if (options_->distribution != "static") {
    WEFT_ASSIGN(lane, Lane::open({.last_line = input.last_line, .window = window}, input));
    lanes_.push_back(std::move(lane));
    return {};
  }
  const std::vector<ReplicaId>& replicas = options_->replicas;
  const std::vector<std::int64_t> ends = part_ends(input.has_request, *done_, replicas.size());
  std::int64_t first = 1;
  for (std::size_t i = 0; i < replicas.size(); ++i) {
    WEFT_ASSIGN(lane, Lane::open({.replica = replicas[i],
                                  .first_line = first,
                                  .last_line = ends[i],
                                  .window = std::max<std::size_t>(window / replicas.size(), 1),
                                  .longest_first = false},
                                 input));
    lanes_.push_back(std::move(lane));
    first = ends[i] + 1;
  }
  return {};
}

Status Feeder::note_custom_ids(const InputFile& input) {
  WEFT_ASSIGN(reader, input.reader_at(1));
  for (;;) {
    WEFT_ASSIGN(line, reader.next());
    if (!line || line->number > input.last_line) return {};
    if (line->blank() || line->too_long) continue;
    const BatchLine parsed = parse_batch_line(line->number, line->text, tools_->defaults, options_->default_max_tokens);
    if (parsed.has_custom_id) (void)custom_ids_.first_line(parsed.custom_id, line->number);
  }
}

bool Feeder::at_end() const noexcept {
  return std::all_of(lanes_.begin(), lanes_.end(), [](const Lane& lane) { return lane.at_end(); });
}

bool Feeder::is_empty() const noexcept {
  return std::all_of(lanes_.begin(), lanes_.end(),
                     [](const Lane& lane) { return lane.at_end() && lane.waiting() == 0; });
}

// Ids that were sent as such are the engine's to judge; what the model directory's own tokenizer makes is not the sender's fault.
Status Feeder::check_tokenizer_ids(const ApiRequest& api, const std::vector<TokenId>& prompt) const {
  const bool sent = std::holds_alternative<std::vector<TokenId>>(api.prompt);
  if (sent || options_->vocabulary <= 0) return {};
  const auto beyond =
      std::find_if(prompt.begin(), prompt.end(), [&](TokenId id) { return id >= options_->vocabulary; });
  if (beyond == prompt.end()) return {};
  return fail(
      ErrorCode::invalid_argument,
      fmt::format("{} makes token id {} ('{}') of the prompt, but config.json's vocab_size is {}, so the model has "
                  "ids 0 to {}: leave that token out, or take the tokenizer that belongs to the model",
                  tools_->tokenizer->file(), *beyond, tools_->tokenizer->token(*beyond), options_->vocabulary,
                  options_->vocabulary - 1));
}

Result<Request> Feeder::make_request(const ApiRequest& api) const {
  WEFT_ASSIGN(request, to_request(api, tools_->tokenizer.get(), tools_->chat.get()));
  WEFT_TRY(check_tokenizer_ids(api, request.prompt));
  if (options_->max_context <= 0) return request;
  const auto context = static_cast<std::size_t>(options_->max_context);
  if (request.prompt.size() >= context)
    return fail(ErrorCode::invalid_argument,
                fmt::format("prompt of {} tokens fills the context of {}: shorten it to {} or raise model.max_context",
                            request.prompt.size(), context, context - 1));
  request.stop.max_tokens =
      std::min(request.stop.max_tokens, static_cast<std::int32_t>(context - request.prompt.size()));
  request.stop.min_tokens = std::min(request.stop.min_tokens, request.stop.max_tokens);
  return request;
}

void Feeder::take(Lane& lane, const Line& line, std::vector<FailedLine>& failed) {
  const bool is_done = (*done_)[static_cast<std::size_t>(line.number)];
  const auto refuse = [&](std::string custom_id, Error error) {
    if (!is_done) failed.push_back({line.number, std::move(custom_id), std::move(error)});
  };
  // Its answer has a custom_id that nobody gave: the message says which line of which file it is.
  const auto refuse_unread = [&](Error error) {
    const std::string custom_id = fmt::format("line-{}", line.number);
    error.message += fmt::format("; no custom_id can be read from it, so its answer's is {}", custom_id);
    refuse(custom_id, annotate(std::move(error), options_->input));
  };
  if (line.too_long)
    return refuse_unread(
        {ErrorCode::invalid_argument,
         fmt::format("line {}: longer than {} bytes, the most a line may have", line.number, input_line_limit_bytes)});
  BatchLine parsed = parse_batch_line(line.number, line.text, tools_->defaults, options_->default_max_tokens);
  if (!parsed.has_custom_id) return refuse_unread(parsed.request.error());
  const std::int64_t first = custom_ids_.first_line(parsed.custom_id, line.number);
  if (is_done) return;
  if (first != line.number)
    return refuse(parsed.custom_id, {ErrorCode::invalid_argument,
                                     fmt::format("line {}: custom_id '{}' is line {}'s already; give each line its own",
                                                 line.number, parsed.custom_id, first)});
  if (!parsed.request) return refuse(std::move(parsed.custom_id), parsed.request.error());
  auto request = make_request(*parsed.request);
  if (!request)
    return refuse(std::move(parsed.custom_id), annotate(request.error(), fmt::format("line {}", line.number)));
  const bool is_echoed = parsed.request->echo && std::holds_alternative<std::string>(parsed.request->prompt);
  if (!is_echoed) parsed.request->prompt = std::vector<TokenId>();
  lane.push({.line = line.number,
             .custom_id = std::move(parsed.custom_id),
             .api = std::move(*parsed.request),
             .request = std::move(*request)});
}

Status Feeder::read(Lane& lane, std::size_t wanted, Time until, std::vector<FailedLine>& failed) {
  while (lane.has_space() && lane.waiting() < wanted) {
    WEFT_ASSIGN(line, lane.next_line());
    if (line) take(lane, *line, failed);
    if (Clock::now() >= until) break;
  }
  return {};
}

}  // namespace weft::frontend
