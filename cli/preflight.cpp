#include "cli/preflight.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>

#include "text/chat/chat_template.h"
#include "text/tokenizer/tokenizer.h"
#include "worker/runner_spec.h"

namespace weft::cli {

std::string mebibytes(Bytes bytes) { return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20)); }

Result<MemoryForecast> forecast_memory(const Setup& setup) {
  MemoryForecast out;
  std::map<std::string, Bytes> wanted;
  for (const ReplicaPlan& replica : setup.plan.replicas)
    for (const RankPlan& rank : replica.ranks) {
      const engine::RunnerSpec spec = worker::runner_spec(
          setup.config, setup.model,
          {.tp_rank = rank.tp, .tp_size = setup.plan.tensor, .pp_rank = rank.pp, .pp_size = setup.plan.pipeline},
          rank.kv_memory);
      const auto& blocks = setup.device_answer.kv_block;
      const auto stage = static_cast<std::size_t>(rank.pp);
      WEFT_ASSIGN_CONTEXT(bytes, engine::estimate_memory(setup.model, spec, stage < blocks.size() ? blocks[stage] : 0),
                          fmt::format("rank {}", rank.rank));
      out.ranks.push_back({.rank = rank.rank, .node = rank.node, .bytes = bytes});
      wanted[rank.node] += out.ranks.back().sum();
    }
  if (const auto least = std::min_element(
          out.ranks.begin(), out.ranks.end(),
          [](const RankMemory& a, const RankMemory& b) { return a.bytes.positions < b.bytes.positions; });
      least != out.ranks.end() && least->bytes.positions < setup.max_context())
    out.warnings.push_back(fmt::format(
        "the KV cache holds {} tokens, fewer than the context of {} ({}): a longer request is refused; raise "
        "engine.kv_memory or lower model.max_context",
        least->bytes.positions, setup.max_context(),
        setup.config.model.max_context ? "model.max_context" : "config.json: max_position_embeddings"));
  std::string lacking;
  for (const Node& node : setup.inventory.nodes) {
    out.nodes.push_back({.node = node.name, .wanted = wanted[node.name], .has = node.memory});
    if (node.memory == 0 || out.nodes.back().wanted <= node.memory) continue;
    lacking +=
        fmt::format("{}node {}: its ranks need {}, it has {}; lower engine.kv_memory or the number of copies",
                    lacking.empty() ? "" : "\n", node.name, mebibytes(out.nodes.back().wanted), mebibytes(node.memory));
  }
  if (!lacking.empty()) out.verdict = fail(ErrorCode::resource_exhausted, lacking);
  return out;
}

Result<TextSide> read_text_side(const Setup& setup) {
  const Config::Model& model = setup.config.model;
  TextSide out{.tools = {.tokenizer = nullptr, .chat = nullptr, .defaults = setup.model.generation},
               .notes = {},
               .warnings = {}};
  auto tokenizer = text::Tokenizer::load(model.path);
  if (tokenizer)
    out.tools.tokenizer = std::move(*tokenizer);
  else if (tokenizer.error().code != ErrorCode::not_found)
    return fail(annotate(std::move(tokenizer).error(), "tokenizer"));
  else
    out.notes.emplace_back("the model has no tokenizer: prompts must be token ids");
  WEFT_ASSIGN_CONTEXT(chat,
                      text::load_chat_format(
                          model.path, model.chat_template.empty() ? std::nullopt : std::optional(model.chat_template)),
                      "chat template");
  if (chat)
    out.tools.chat = std::make_shared<const text::ChatFormat>(std::move(*chat));
  else
    out.notes.emplace_back("the model has no chat template: there can be no chats");
  // Common and mostly harmless: tokens that were added and never trained. An embedding with more rows than the tokenizer has ids
  // is padded, and says nothing.
  const std::int32_t rows = setup.model.shape.vocabulary;
  if (const text::Tokenizer* known = out.tools.tokenizer.get();
      known != nullptr && known->vocabulary_size() > static_cast<std::size_t>(rows)) {
    const auto last = static_cast<TokenId>(known->vocabulary_size() - 1);
    out.warnings.push_back(fmt::format(
        "{} has ids up to {} ('{}'), config.json's vocab_size is {}, so the model has ids 0 to {}: a prompt of "
        "which the tokenizer makes one beyond is refused",
        known->file(), last, known->token(last), rows, rows - 1));
  }
  return out;
}

}  // namespace weft::cli
