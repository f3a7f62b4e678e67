#include "tests/conformance/communicator/ranks.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <new>
#include <stdexcept>

namespace weft::conformance {
namespace {

#if defined(__SANITIZE_THREAD__)
constexpr bool see_threads_only = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
constexpr bool see_threads_only = true;
#else
constexpr bool see_threads_only = false;
#endif
#else
constexpr bool see_threads_only = false;
#endif

// Of the suite's own keys, apart from the groups'.
std::string mark_key(const std::string& name) { return "case/" + name; }

Board* make_board() {
  void* const memory = ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::runtime_error("no memory for the case's board");
  return new (memory) Board{};
}

void await_mark(const Context& context, StoreClient& store, const std::string& name) {
  const auto come = store.wait({mark_key(name)}, patience(context));
  if (!come) context.fail(fmt::format("'{}' did not come about: {}", name, to_string(come.error())));
}

}  // namespace

std::string member_name(std::int32_t position) { return fmt::format("rank {} (tp {})", position + 10, position); }

Deadline patience(const Context& context) {
  return Deadline::in(context.scaled(std::chrono::seconds(30))).earlier(context.deadline());
}

GroupSpec Rank::spec(std::string id) const {
  GroupSpec made{.id = std::move(id),
                 .rank = index,
                 .size = count,
                 .store = &store,
                 .deadline = patience(context),
                 .operation_timeout = scaled(std::chrono::seconds(30)),
                 .address = "127.0.0.1"};
  for (std::int32_t position = 0; position < count; ++position)
    made.members.push_back(member_name(position));
  return made;
}

std::unique_ptr<Group> Rank::open(const GroupSpec& spec) const {
  return context.take(communicator.open(spec), fmt::format("open of '{}' as position {}", spec.id, spec.rank));
}

void Rank::finish(Result<Work> work, std::string_view doing) const {
  Work ticket = context.take(std::move(work), doing);
  context.expect_ok(ticket.wait(patience(context)), doing);
}

Error Rank::failure(Result<Work> work, Duration limit, std::string_view doing, Deadline deadline) const {
  const Time began = Clock::now();
  Status status;
  if (!work)
    status = fail(work.error());
  else
    status = work->wait(deadline);
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began);
  const auto most = std::chrono::duration_cast<std::chrono::milliseconds>(limit);
  context.expect(!status, fmt::format("{}: it is ok, expected an error", doing));
  context.expect(took <= most, fmt::format("{}: ended after {} ms, expected {} at most ({})", doing, took.count(),
                                           most.count(), to_string(status.error())));
  context.expect(!status.error().message.empty(), fmt::format("{}: an error without a message", doing));
  return status.error();
}

void Rank::close(std::unique_ptr<Group>& group) const {
  context.expect_ok(group->close(patience(context)), "close");
  group.reset();
}

void Rank::meet(const std::string& point) const {
  const auto come = store.add(mark_key(point + "/come"), 1, patience(context));
  context.expect(come.has_value(), "the case's store does not count");
  if (*come == count) mark(point);
  await(point);
}
void Rank::mark(const std::string& name) const {
  context.expect_ok(store.set(mark_key(name), "1", patience(context)), "the case's store");
}
void Rank::await(const std::string& name) const { await_mark(context, store, name); }
bool Rank::mark_within(const std::string& name, Duration limit) const {
  return store.wait({mark_key(name)}, Deadline::in(limit)).has_value();
}

World::World(Context& context) : context_(context), board_(make_board()), store_(server_.address()) {}

World::~World() {
  end_all();
  communicator_.reset();
  ::munmap(board_, sizeof(Board));
}

void World::run(std::int32_t count, const Body& body, As as) {
  const bool threads =
      as == As::threads ||
      (as == As::either && (see_threads_only || context_.profile().fixture("ranks_as_threads") != nullptr));
  if (threads) return run_threads(count, body);
  for (std::int32_t rank = 0; rank < count; ++rank)
    start(rank, count, body);
  finish();
}

void World::run_threads(std::int32_t count, const Body& body) {
  // One object for all: open() may be called by several threads at once.
  if (!communicator_) communicator_ = context_.create<Communicator>();
  context_.run_threads(count, [&](int index) {
    ServedStore store(server_.address());
    Rank rank{context_, index, count, *board_, store, *communicator_};
    body(rank);
  });
}

void World::start(std::int32_t rank, std::int32_t count, const Body& body) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) context_.fail("no pipe for a rank's report");
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    ::close(ends[0]);
    child(rank, count, body, ends[1]);
  }
  ::close(ends[1]);
  if (pid < 0) context_.fail("no process for a rank");
  processes_[rank] = Process{.pid = pid, .report = ends[0], .stopped = false, .told = {}};
}

void World::child(std::int32_t rank, std::int32_t count, const Body& body, int report) {
  std::string told;
  try {
    // The fork's copy of the parent's list is not ours to end.
    processes_.clear();
    {
      ServedStore store(server_.address());
      auto communicator = context_.create<Communicator>();
      Rank self{context_, rank, count, *board_, store, *communicator};
      body(self);
    }
    told = "+";
  } catch (const Ended& ended) {
    told = (ended.skipped ? "~" : "") + ended.message;
  } catch (...) {
    told = describe_exception("the rank");
  }
  std::fflush(nullptr);
  (void)!::write(report, told.data(), std::min<std::size_t>(told.size(), 32768));
  ::_exit(0);
}

std::string World::ending(std::int32_t rank, Process& process) {
  int status = 0;
  while (::waitpid(process.pid, &status, 0) < 0 && errno == EINTR) {
  }
  process.pid = -1;
  ::close(process.report);
  if (WIFSIGNALED(status))
    return fmt::format("rank {} died of signal {} ({})", rank, WTERMSIG(status), ::strsignal(WTERMSIG(status)));
  if (process.told == "+") return {};
  if (process.told.empty()) return fmt::format("rank {} ended its process with code {}", rank, WEXITSTATUS(status));
  if (process.told.front() == '~') throw Ended{.skipped = true, .message = process.told.substr(1)};
  return fmt::format("rank {}: {}", rank, process.told);
}

void World::kill(std::int32_t rank) {
  Process& process = processes_.at(rank);
  ::kill(process.pid, SIGKILL);
  int status = 0;
  while (::waitpid(process.pid, &status, 0) < 0 && errno == EINTR) {
  }
  ::close(process.report);
  processes_.erase(rank);
}

void World::stop(std::int32_t rank) {
  Process& process = processes_.at(rank);
  ::kill(process.pid, SIGSTOP);
  int status = 0;
  while (::waitpid(process.pid, &status, WUNTRACED) < 0 && errno == EINTR) {
  }
  process.stopped = WIFSTOPPED(status);
  if (process.stopped) return;
  process.pid = -1;
  context_.fail(fmt::format("rank {} had ended before it was to be stopped", rank));
}

void World::finish() {
  std::map<std::int32_t, Process*> running;
  for (auto& [rank, process] : processes_)
    if (!process.stopped) running[rank] = &process;
  while (!running.empty()) {
    std::vector<pollfd> waited;
    for (const auto& [rank, process] : running)
      waited.push_back({process->report, POLLIN, 0});
    const int ready = ::poll(waited.data(), waited.size(), context_.deadline().poll_milliseconds());
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      std::vector<std::int32_t> left;
      for (const auto& [rank, process] : running)
        left.push_back(rank);
      end_all();
      context_.fail(fmt::format("ranks that did not end in time: {}", fmt::join(left, ", ")));
    }
    for (auto entry = running.begin(); entry != running.end();) {
      std::array<char, 4096> chunk;
      const auto is_ready = std::find_if(waited.begin(), waited.end(), [&](const pollfd& one) {
        return one.fd == entry->second->report && one.revents != 0;
      });
      if (is_ready == waited.end()) {
        ++entry;
        continue;
      }
      const ssize_t got = ::read(is_ready->fd, chunk.data(), chunk.size());
      if (got > 0) {
        entry->second->told.append(chunk.data(), static_cast<std::size_t>(got));
        ++entry;
        continue;
      }
      const std::int32_t rank = entry->first;
      const std::string failed = ending(rank, *entry->second);
      entry = running.erase(entry);
      processes_.erase(rank);
      if (failed.empty()) continue;
      end_all();
      context_.fail(failed);
    }
  }
  end_all();
}

void World::end_all() noexcept {
  for (auto& [rank, process] : processes_) {
    if (process.pid < 0) continue;
    ::kill(process.pid, SIGKILL);
    while (::waitpid(process.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    ::close(process.report);
  }
  processes_.clear();
}

void World::await(const std::string& mark) {
  const Deadline deadline = patience(context_);
  while (true) {
    const auto come = store_.wait({mark_key(mark)}, Deadline::in(std::chrono::milliseconds(50)).earlier(deadline));
    if (come) return;
    // A rank that fails on the way never comes, and its report says more than the wait's end would.
    if (some_failed() || deadline.passed()) finish();
    if (processes_.empty() || deadline.passed())
      context_.fail(fmt::format("'{}' did not come about: {}", mark, to_string(come.error())));
  }
}

bool World::some_failed() {
  for (auto& [rank, process] : processes_) {
    pollfd waited{process.report, POLLIN, 0};
    if (process.stopped || !process.told.empty() || ::poll(&waited, 1, 0) != 1) continue;
    std::array<char, 4096> chunk;
    const ssize_t got = ::read(process.report, chunk.data(), chunk.size());
    if (got <= 0) return true;
    process.told.assign(chunk.data(), static_cast<std::size_t>(got));
    if (process.told.front() != '+') return true;
  }
  return false;
}

void World::mark(const std::string& name) {
  context_.expect_ok(store_.set(mark_key(name), "1", patience(context_)), "the case's store");
}

void World::expect_no_keys(std::string_view when) {
  auto keys = context_.take(store_.list("", patience(context_)), "the case's store");
  std::erase_if(keys, [](const std::string& key) { return key.starts_with("case/"); });
  context_.expect(keys.empty(), fmt::format("{}: keys are left in the store: {}", when, fmt::join(keys, ", ")));
}

}  // namespace weft::conformance
