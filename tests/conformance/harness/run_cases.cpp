#include "tests/conformance/harness/run_cases.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <filesystem>
#include <map>

#include "tests/conformance/harness/case_process.h"
#include "tests/conformance/harness/interrupts.h"
#include "tests/conformance/harness/select.h"

namespace weft::conformance {
namespace {

namespace fs = std::filesystem;

class Runner {
 public:
  explicit Runner(const RunSpec& spec) : spec_(spec), day_(today()), results_(spec.cases.size()) {
    for (std::size_t index = 0; index < spec.cases.size(); ++index)
      waiting_.push_back(index);
  }

  Result<RunResult> run() {
    WEFT_TRY(make_directory());
    while (!interrupted_ && (!waiting_.empty() || !running_.empty())) {
      while (!waiting_.empty() && running_.size() < static_cast<std::size_t>(spec_.jobs)) {
        const std::size_t index = waiting_.front();
        waiting_.pop_front();
        if (const Status started = start(index); !started) {
          stop_all();
          return fail(started.error());
        }
      }
      wait_for_some();
    }
    name_those_left();
    stop_all();
    std::error_code error;
    fs::remove_all(directory_, error);
    return RunResult{.cases = std::move(results_), .interrupted = interrupted_};
  }

 private:
  Status make_directory() {
    std::string pattern = (fs::temp_directory_path() / "weft-conformance-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr)
      return fail(ErrorCode::resource_exhausted, fmt::format("{}: {}", pattern, std::strerror(errno)));
    directory_ = pattern;
    return {};
  }

  std::chrono::milliseconds limit_of(const Case& tested) const {
    const double scale = spec_.profile.limit("time_scale");
    return std::chrono::milliseconds(
        static_cast<long>(std::chrono::duration<double, std::milli>(tested.limit).count() * scale));
  }

  Status start(std::size_t index) {
    const Case& tested = *spec_.cases[index];
    if (std::string why = unmet_need(tested, spec_.capabilities, spec_.profile); !why.empty()) {
      CaseResult skipped{.tested = &tested, .outcome = Outcome::skip, .message = std::move(why)};
      end(index, std::move(skipped));
      return {};
    }
    const fs::path directory = directory_ / fmt::format("{}-{}", tested.id, ++started_);
    fs::create_directories(directory);
    Context::Setup setup{.running = &tested,
                         .plugin_file = spec_.plugin_file,
                         .profile = spec_.profile,
                         .seed = spec_.seed,
                         .level = spec_.level,
                         .directory = directory,
                         .program = spec_.program};
    WEFT_ASSIGN(running, start_case(std::move(setup), limit_of(tested)));
    running_.emplace(index, std::move(running));
    return {};
  }

  void wait_for_some() {
    if (running_.empty()) return;
    std::vector<pollfd> waited{{interrupts_.descriptor(), POLLIN, 0}};
    for (const auto& [index, running] : running_)
      waited.push_back({running.pipe, POLLIN, 0});
    // Every warden ends by its own deadline.
    if (::poll(waited.data(), waited.size(), -1) < 0) return;
    interrupted_ = interrupts_.take();
    std::vector<std::size_t> over;
    for (auto& [index, running] : running_)
      if (read_answer(running)) over.push_back(index);
    for (const std::size_t index : over) {
      CaseResult result = finish_case(running_.at(index));
      running_.erase(index);
      ended(index, std::move(result));
    }
  }

  // Tried again before waivers are looked at: an expected failure need not be.
  void ended(std::size_t index, CaseResult result) {
    const bool bad = !is_good(result.outcome);
    const Waiver* const waiver = waiver_for(spec_.profile, result.tested->id, day_);
    int& tries = tries_[index];
    ++tries;
    if (bad && waiver == nullptr && tries <= spec_.retries) {
      first_failures_.emplace(index, result.message);
      waiting_.push_front(index);
      return;
    }
    result.attempts = tries;
    if (result.outcome == Outcome::pass && tries > 1) {
      result.outcome = Outcome::flake;
      result.message = fmt::format("passed at attempt {}; the first said: {}", tries, first_failures_.at(index));
    }
    if (waiver != nullptr) {
      result.waiver = *waiver;
      if (bad) result.outcome = Outcome::xfail;
      if (result.outcome == Outcome::pass) {
        result.outcome = Outcome::xpass;
        result.message = fmt::format("waived ('{}') and yet it passes: take the waiver out", waiver->reason);
      }
    }
    end(index, std::move(result));
  }

  void end(std::size_t index, CaseResult result) {
    result.repeat = repeat_command(spec_, *result.tested);
    if (spec_.done) spec_.done(result);
    results_[index] = std::move(result);
  }

  // Of an interrupted run.
  void name_those_left() {
    for (std::size_t index = 0; index < results_.size(); ++index) {
      if (results_[index].tested != nullptr) continue;
      const Case& tested = *spec_.cases[index];
      results_[index] = {.tested = &tested,
                         .outcome = Outcome::not_run,
                         .message = running_.contains(index) ? "the run was interrupted in the midst of it"
                                                             : "the run was interrupted before it",
                         .attempts = tries_[index],
                         .repeat = repeat_command(spec_, tested)};
    }
  }

  void stop_all() {
    for (auto& [index, running] : running_)
      ::kill(running.warden, SIGTERM);
    for (auto& [index, running] : running_)
      finish_case(running);
    running_.clear();
  }

  const RunSpec& spec_;
  const std::string day_;
  Interrupts interrupts_;
  fs::path directory_;
  std::deque<std::size_t> waiting_;
  std::map<std::size_t, RunningCase> running_;
  std::map<std::size_t, int> tries_;
  std::map<std::size_t, std::string> first_failures_;
  std::vector<CaseResult> results_;
  int started_ = 0;
  bool interrupted_ = false;
};

// For a shell; a plain path stays as it is.
std::string quoted(const std::string& text) {
  constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+=:,@%";
  if (!text.empty() && text.find_first_not_of(plain) == std::string::npos) return text;
  std::string made = "'";
  for (const char letter : text)
    made += letter == '\'' ? std::string("'\\''") : std::string(1, letter);
  return made + "'";
}

}  // namespace

int RunResult::not_run() const {
  return static_cast<int>(
      std::count_if(cases.begin(), cases.end(), [](const CaseResult& one) { return one.outcome == Outcome::not_run; }));
}

Result<RunResult> run_cases(const RunSpec& spec) { return Runner(spec).run(); }

std::string repeat_command(const RunSpec& spec, const Case& tested) {
  std::string command = fmt::format("{} --plugin {}", quoted(spec.program), quoted(spec.plugin_file));
  if (!spec.profile.path.empty()) command += " --profile " + quoted(spec.profile.path);
  if (spec.level != Level::must) command += fmt::format(" --level {}", to_string(spec.level));
  if (spec.time_scale != 1) command += fmt::format(" --time-scale {}", spec.time_scale);
  return command + fmt::format(" --filter {} --seed {}", tested.id, spec.seed);
}

}  // namespace weft::conformance
