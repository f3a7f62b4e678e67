// BatchRun: `weft run` without the cluster. Reads OpenAI batch lines, feeds a router, writes each answer as it comes, and
// can be killed at any moment without losing or repeating one.
//
// open() touches input and output before anything is launched, so that what is wrong with them costs nothing. run() then
// does the work on its caller's thread; RouterEvents and interrupt() only put into its inbox.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/routing/router.h"
#include "frontend/api/api_request.h"
#include "text/chat/chat_template.h"
#include "text/tokenizer/tokenizer.h"
#include "weft/status.h"
#include "weft/time.h"

namespace weft::frontend {

struct BatchOptions {
  std::string input;                    // JSON lines
  std::string output;                   // JSON lines, appended to when it is this run's
  std::string model_name;               // in the answers' bodies
  std::string model_identity;           // hash of what makes answers what they are: weights, dtype, sampling defaults
  std::string distribution = "shared";  // shared | static
  std::int32_t window = 10000;          // requests read ahead
  std::int32_t default_max_tokens = 256;
  std::int32_t max_context = 0;               // tokens
  std::int32_t vocabulary = 0;                // ids that the model has; 0: not known
  std::vector<ReplicaId> replicas;            // all of the plan's, for static distribution
  Duration drain = std::chrono::seconds(30);  // after an interrupt or a lost replica
  bool progress_bar = false;                  // else one line every 10 s
};

// What turns text into tokens and back; shared with nobody, outlives the run.
struct BatchTools {
  std::shared_ptr<const text::Tokenizer> tokenizer;  // null: the directory has none; then only token ids are prompts
  std::shared_ptr<const text::ChatFormat> chat;      // null: no chat template
  GenerationDefaults defaults;
};

struct BatchSummary {
  std::int64_t lines = 0;                        // of the input, blank ones not counted
  std::int64_t resumed = 0;                      // done by earlier runs
  std::int64_t resumed_failed = 0;               // of these, with an error
  std::int64_t answered = 0;                     // by this one
  std::int64_t failed = 0;                       // permanent errors, written
  std::int64_t left = 0;                         // not written: another run will do them
  std::map<std::string, std::int64_t> failures;  // by cause, for failed and left ones
  std::int64_t prompt_tokens = 0;                // of answered requests
  std::int64_t generated_tokens = 0;
  double seconds = 0;              // of run()
  double first_token_seconds = 0;  // from run() to the first token of any request
  std::map<ReplicaId, LedgerTotals::Row> replicas;
  bool interrupted = false;
  std::optional<Error> error;  // what ended the run before its end
};

class BatchRun final : public RouterEvents {
 public:
  // not_found: no input. already_exists: the output is another run's. permission_denied, resource_exhausted: it cannot
  // be written. All name the file and what to do.
  static Result<std::unique_ptr<BatchRun>> open(BatchOptions options, BatchTools tools);
  ~BatchRun() override;

  // Whether there is anything left to do; if not, no cluster need be started.
  bool has_work() const noexcept;
  // Until every line is done, or the run was ended early. An output that can no longer be written is an error; what was
  // written before stays.
  Result<BatchSummary> run(Router& router);
  // The summary of a run that had nothing to do.
  BatchSummary summary() const;

  // Any thread. First: no new requests, running ones may end until `drain`; second: at once.
  void interrupt();
  // Any thread: the cluster has lost a replica; the run ends as by a first interrupt, with this error.
  void give_up(const Error& why);

  // From the router's thread.
  void on_tokens(RequestId request, std::span<const TokenId> tokens) override;
  void on_logprobs(RequestId request, std::span<const TokenLogprobs> prompt,
                   std::span<const TokenLogprobs> generated) override;
  void on_finished(RequestId request, const Outcome& outcome) override;
  void on_room() override;

 private:
  struct State;
  explicit BatchRun(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// For people, on standard error; and as JSON for --summary.
std::string summary_text(const BatchSummary& summary);
std::string summary_json(const BatchSummary& summary);

}  // namespace weft::frontend
