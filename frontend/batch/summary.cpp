#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "frontend/batch/batch_run.h"

namespace weft::frontend {
namespace {

double rate(std::int64_t count, double seconds) { return seconds > 0 ? static_cast<double>(count) / seconds : 0; }

}  // namespace

std::string summary_text(const BatchSummary& summary) {
  if (summary.lines == 0) return "the input has no requests: the output is empty\n";
  std::string text = fmt::format("{} requests: {} answered", summary.lines, summary.answered);
  if (summary.resumed > 0) text += fmt::format(", {} done by earlier runs", summary.resumed);
  if (summary.resumed_failed > 0) text += fmt::format(" ({} of them failed)", summary.resumed_failed);
  text += fmt::format(", {} failed, {} left\n", summary.failed, summary.left);
  if (summary.answered > 0)
    text += fmt::format("{} prompt tokens, {} generated in {:.2f} s: {:.0f} tok/s, first token after {:.2f} s\n",
                        summary.prompt_tokens, summary.generated_tokens, summary.seconds,
                        rate(summary.generated_tokens, summary.seconds), summary.first_token_seconds);
  for (const auto& [id, row] : summary.replicas)
    text += fmt::format("replica {}: {} requests, {} tokens, {:.0f} tok/s\n", id, row.requests, row.tokens,
                        rate(row.tokens, summary.seconds));
  if (!summary.failures.empty()) {
    text += "failures:";
    const char* before = " ";
    for (const auto& [cause, count] : summary.failures) {
      text += fmt::format("{}{} {}", before, count, cause);
      before = ", ";
    }
    text += "\n";
  }
  if (summary.left > 0)
    text += fmt::format("{}: the same command does the {} that are left\n",
                        summary.interrupted ? "interrupted" : "not finished", summary.left);
  return text;
}

std::string summary_json(const BatchSummary& summary) {
  nlohmann::ordered_json json;
  json["requests"] = {{"total", summary.lines},     {"answered", summary.answered},
                      {"resumed", summary.resumed}, {"resumed_failed", summary.resumed_failed},
                      {"failed", summary.failed},   {"left", summary.left}};
  json["failures"] = summary.failures;
  json["tokens"] = {{"prompt", summary.prompt_tokens}, {"generated", summary.generated_tokens}};
  json["seconds"] = summary.seconds;
  json["tokens_per_second"] = rate(summary.generated_tokens, summary.seconds);
  json["first_token_seconds"] = summary.first_token_seconds;
  json["replicas"] = nlohmann::ordered_json::array();
  for (const auto& [id, row] : summary.replicas)
    json["replicas"].push_back({{"replica", id},
                                {"requests", row.requests},
                                {"tokens", row.tokens},
                                {"tokens_per_second", rate(row.tokens, summary.seconds)}});
  json["interrupted"] = summary.interrupted;
  json["error"] = nullptr;
  if (summary.error) json["error"] = {{"code", to_string(summary.error->code)}, {"message", summary.error->message}};
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace weft::frontend
