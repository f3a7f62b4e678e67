#include "tests/conformance/harness/case_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/conformance/harness/warden.h"

namespace weft::conformance {

using nlohmann::json;

BodyResult run_body(Context& context) {
  BodyResult result;
  try {
    context.setup().running->body(context);
  } catch (const Ended& ended) {
    result.outcome = ended.skipped ? Outcome::skip : Outcome::fail;
    result.message = ended.message;
  } catch (...) {
    result.outcome = Outcome::fail;
    result.message = describe_exception("the case");
  }
  result.notes = context.notes();
  result.proven = context.proven();
  return result;
}

Result<RunningCase> start_case(Context::Setup setup, std::chrono::milliseconds limit) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    return fail(ErrorCode::resource_exhausted, fmt::format("no pipe: {}", std::strerror(errno)));
  RunningCase running{.tested = setup.running, .warden = -1, .pipe = ends[0], .started = Clock::now(), .answer = {}};
  running.warden = ::fork();
  if (running.warden == 0) warden_main(std::move(setup), limit, ends[1]);
  ::close(ends[1]);
  if (running.warden < 0) {
    ::close(ends[0]);
    return fail(ErrorCode::resource_exhausted, fmt::format("no process: {}", std::strerror(errno)));
  }
  ::fcntl(running.pipe, F_SETFL, O_NONBLOCK);
  return running;
}

bool read_answer(RunningCase& running) {
  std::array<char, 1 << 14> chunk{};
  while (true) {
    const ssize_t got = ::read(running.pipe, chunk.data(), chunk.size());
    if (got > 0) {
      running.answer.append(chunk.data(), static_cast<std::size_t>(got));
    } else if (got == 0) {
      return true;
    } else if (errno != EINTR) {
      return errno != EAGAIN;
    }
  }
}

CaseResult finish_case(RunningCase& running) {
  ::close(running.pipe);
  int status = 0;
  while (::waitpid(running.warden, &status, 0) < 0 && errno == EINTR) {
  }
  CaseResult result;
  result.tested = running.tested;
  result.seconds = std::chrono::duration<double>(Clock::now() - running.started).count();
  const json answer = json::parse(running.answer, nullptr, false);
  if (answer.is_discarded() || !answer.is_object()) {
    result.message = fmt::format("the case's warden ended without an answer (status {:#x})", status);
    return result;
  }
  try {
    result.outcome = static_cast<Outcome>(answer.at("outcome").get<int>());
    result.seconds = answer.at("seconds").get<double>();
    result.message = answer.at("message").get<std::string>();
    result.notes = answer.at("notes").get<std::vector<std::string>>();
    result.proven = answer.at("proven").get<std::vector<std::string>>();
    result.output = answer.at("output").get<std::string>();
  } catch (const json::exception& error) {
    result.message = fmt::format("the case's warden gave an answer that cannot be read: {}", error.what());
  }
  return result;
}

}  // namespace weft::conformance
