// The case's end of its ranks: a socket in the case's directory that every @rank and its children connect to. So a case
// knows that a process is there, asks it what arrived, and sees its end (the end of its connection) whoever its parent is
// and however it was started. Ranks must see this machine's files; they need not share its network or its pids.
//
// One thread at a time. What does not come within patience() fails the case.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/conformance/executor/words.h"
#include "tests/conformance/harness/context.h"
#include "weft/executor.h"

namespace weft::conformance::ex {

// How long something that must come may take: a fifth of the case's limit, so 4 seconds of most, times the profile's
// time_scale.
Duration patience(const Context& context);

// One process that said hello.
class Peer {
 public:
  Peer(const Context& context, int socket, std::string name, std::int64_t pid)
      : context_(context), socket_(socket), name_(std::move(name)), pid_(pid) {}
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  const std::string& name() const noexcept { return name_; }
  std::int64_t pid() const noexcept { return pid_; }  // as the process itself sees it

  // The answer; fails the case where there is none.
  Words ask(const Words& command);
  // The same for commands that must answer "done".
  void order(const Words& command);
  // For commands without an answer.
  void tell(const Words& command);
  // Fails the case unless the next that it says, without being asked, is `word`.
  void expect_word(std::string_view word);
  // Whether it still answers.
  bool lives();
  // Fails the case unless it soon is no more; whatever else it says is skipped.
  void expect_gone(std::string_view when);

 private:
  const Context& context_;
  const int socket_;
  const std::string name_;
  const std::int64_t pid_;
};

class Post {
 public:
  explicit Post(const Context& context);
  ~Post();
  Post(const Post&) = delete;
  Post& operator=(const Post&) = delete;

  // A rank that connects here under name_of(gang, rank), with `more` behind its arguments; it runs anywhere and logs nothing.
  RankSpec rank_spec(const GangId& gang, std::int32_t rank, const std::vector<std::string>& more = {}) const;
  // One that ends at once with `code`.
  RankSpec exit_spec(std::int32_t rank, int code) const;
  static std::string name_of(const GangId& gang, std::int32_t rank);

  // Waits for its hello. Two processes of one name fail the case.
  Peer& peer(const std::string& name);
  Peer& peer(const GangId& gang, std::int32_t rank) { return peer(name_of(gang, rank)); }
  // Those that have said hello until now, in this order.
  std::vector<Peer*> peers();

 private:
  bool accept_one(Deadline deadline);

  const Context& context_;
  const std::string address_;
  int listener_ = -1;
  std::vector<std::unique_ptr<Peer>> peers_;
};

// Fails unless soon no process of this machine has the case's ranks' mark in its environment, which their children
// inherit.
void expect_none_left(const Context& context, std::string_view when);

}  // namespace weft::conformance::ex
