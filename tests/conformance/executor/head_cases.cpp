// The end of the process that holds the executor.
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <functional>

#include "tests/conformance/executor/bench.h"
#include "tests/conformance/executor/groups.h"

namespace weft::conformance::ex {
namespace {

// A process with an executor of its own, forked before the case has a thread.
class Head {
 public:
  // `begin` launches; the head then waits for its end.
  Head(Context& context, const std::function<void(Executor&, Recorder&)>& begin) : context_(context) {
    if (::pipe(said_.data()) != 0 || ::pipe(told_.data()) != 0) context.fail("no pipe");
    pid_ = ::fork();
    if (pid_ == 0) live(begin);
    ::close(said_[1]);
    ::close(told_[0]);
  }
  ~Head() {
    if (pid_ > 0) end(SIGKILL);
    ::close(said_[0]);
    ::close(told_[1]);
  }
  Head(const Head&) = delete;
  Head& operator=(const Head&) = delete;

  // Until its ranks are launched.
  void wait_begun() {
    const Deadline deadline = Deadline::in(patience(context_));
    std::string text;
    std::array<char, 512> chunk{};
    while (text.empty() || text.back() != '\n') {
      pollfd waited{said_[0], POLLIN, 0};
      if (::poll(&waited, 1, deadline.poll_milliseconds()) == 0) context_.fail("a second process has not begun");
      const ssize_t got = ::read(said_[0], chunk.data(), chunk.size());
      if (got <= 0) break;
      text.append(chunk.data(), static_cast<std::size_t>(got));
    }
    context_.expect(text == "begun\n", "in a second process: " + text);
  }
  // By that signal, which it does not handle; 0: by exit(), and it neither closes nor destroys its executor.
  void end(int signal) {
    if (signal == 0)
      (void)!::write(told_[1], "x", 1);
    else
      ::kill(pid_, signal);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
  }

 private:
  [[noreturn]] void live(const std::function<void(Executor&, Recorder&)>& begin) {
    ::close(said_[0]);
    ::close(told_[1]);
    std::string text = "begun";
    Conduct conduct;
    Recorder sink(context_, conduct);
    try {
      static auto* const executor = new PluginHandle<Executor>(context_.create<Executor>());  // never destroyed
      begin(**executor, sink);
    } catch (const Ended& ended) {
      text = ended.message;
    }
    text += "\n";
    (void)!::write(said_[1], text.data(), text.size());
    char word = 0;
    (void)!::read(told_[0], &word, 1);
    std::exit(0);  // NOLINT(concurrency-mt-unsafe): what the plugin has for the end of a process runs, too
  }

  Context& context_;
  pid_t pid_ = -1;
  std::array<int, 2> said_{-1, -1};
  std::array<int, 2> told_{-1, -1};
};

GangSpec gang_of(const Post& post, const GangId& id, int ranks, bool die_with_head) {
  GangSpec spec{.gang = id, .ranks = {}, .die_with_head = die_with_head};
  for (int rank = 0; rank < ranks; ++rank)
    spec.ranks.push_back(post.rank_spec(id, rank));
  return spec;
}

void launch_in(const Context& context, Executor& executor, Recorder& sink, const GangSpec& spec) {
  context.expect_ok(executor.launch(spec, sink), "launch");
  sink.wait_placed(spec.gang);
}

void ranks_end_with(Context& context, const std::string& how, int signal) {
  const std::string id = fmt::format("ended-by-{}", signal);
  Post post(context);
  const GangSpec spec = gang_of(post, {id, 1}, 4, true);
  Head head(context, [&](Executor& executor, Recorder& sink) { launch_in(context, executor, sink, spec); });
  head.wait_begun();
  std::vector<Peer*> peers;
  for (const RankSpec& rank : spec.ranks)
    peers.push_back(&post.peer(spec.gang, rank.rank));
  peers[1]->order({"ignore", std::to_string(SIGTERM)});
  peers[2]->tell({"raise", std::to_string(SIGSTOP)});
  head.end(signal);
  for (Peer* const peer : peers)
    peer->expect_gone(fmt::format("after {} of its head", how));
}

void killed_head(Context& context) { ranks_end_with(context, "SIGKILL", SIGKILL); }
void crashed_head(Context& context) { ranks_end_with(context, "SIGABRT", SIGABRT); }
void exited_head(Context& context) { ranks_end_with(context, "an exit without a close", 0); }

void outlived_head(Context& context) {
  Post post(context);
  const GangSpec living = gang_of(post, {"living", 1}, 2, false);
  const GangSpec dying = gang_of(post, {"dying", 1}, 2, true);
  Head head(context, [&](Executor& executor, Recorder& sink) {
    launch_in(context, executor, sink, living);
    launch_in(context, executor, sink, dying);
  });
  head.wait_begun();
  std::vector<Peer*> survivors;
  for (const RankSpec& rank : living.ranks)
    survivors.push_back(&post.peer(living.gang, rank.rank));
  std::vector<Peer*> others;
  for (const RankSpec& rank : dying.ranks)
    others.push_back(&post.peer(dying.gang, rank.rank));
  head.end(SIGKILL);
  for (Peer* const peer : others)  // whatever ends ranks has been at work when these are gone
    peer->expect_gone("after SIGKILL of its head");
  for (Peer* const peer : survivors)
    context.expect(peer->lives(), fmt::format("{} ended with its head, though die_with_head was false", peer->name()));
  for (Peer* const peer : survivors)
    peer->tell({"exit", "0"});
  for (Peer* const peer : survivors)
    peer->expect_gone("after it was told to exit");
}

const Case head_rules[] = {
    {"EX-90", Level::must, "", "1",
     "ranks end when the head's process is killed (SIGKILL), also those that ignore TERM or are stopped",
     "No orphan holds memory or a GPU.", killed_head},
    {"EX-91", Level::must, "", "1", "ranks end when the head's process crashes", "No orphan holds memory or a GPU.",
     crashed_head},
    {"EX-92", Level::must, "", "1", "ranks end when the head's process exits without having closed its executor",
     "No orphan holds memory or a GPU.", exited_head},
    {"EX-93", Level::must, "", "1",
     "ranks of a gang with die_with_head false live on when the head's process is killed",
     "Workers that are to rejoin a new head must be there.", outlived_head},
};

}  // namespace

std::span<const Case> head_cases() { return head_rules; }

}  // namespace weft::conformance::ex
