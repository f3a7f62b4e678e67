// Test doubles for both ends of a link: they keep what they hear and let a test wait for it.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "core/wire/link.h"

namespace weft::wire {

constexpr const char* good_token = "a-token-of-this-cluster";

inline Deadline soon() { return Deadline::in(std::chrono::seconds(60)); }

inline Envelope numbered(std::int64_t number) {
  Envelope out;
  out.mutable_step_output()->set_step(number);
  return out;
}

// A lock, a condition and waits with a deadline.
class Heard {
 public:
  template <class Predicate>
  bool wait(Predicate predicate) {
    std::unique_lock lock(mutex_);
    return changed_.wait_until(lock, soon().at(), predicate);
  }
  template <class Change>
  void note(Change change) {
    const std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;  // guards what the subclasses keep
  std::condition_variable changed_;
};

class Log : public Heard {
 public:
  std::function<void(std::string)> sink() {
    return [this](std::string line) { note([&] { text_ += line + "\n"; }); };
  }
  bool wait_for(const std::string& part) {
    return wait([&] { return text_.find(part) != std::string::npos; });
  }
  std::string text() {
    std::string out;
    note([&] { out = text_; });
    return out;
  }

 private:
  std::string text_;
};

class Server : public ListenerHandler, public Heard {
 public:
  Status on_open(const Peer& peer) override {
    if (refuse) return fail(ErrorCode::refused, "rank " + std::to_string(peer.rank) + " is not expected");
    note([&] { peers_.push_back(peer); });
    return {};
  }
  void on_message(const Peer& peer, const Envelope& envelope) override {
    if (before_message) before_message(peer, envelope);
    note([&] { messages_.emplace_back(peer.link, envelope); });
  }
  void on_down(const Peer& peer, const Error& why) override {
    note([&] { EXPECT_TRUE(downs_.emplace(peer.link, why).second) << "two on_down for one link"; });
  }

  Peer wait_peer(std::size_t index = 0) {
    EXPECT_TRUE(wait([&] { return peers_.size() > index; }));
    Peer out;
    note([&] { out = peers_.at(index); });
    return out;
  }
  // The numbers of the first `count` messages.
  std::vector<std::int64_t> wait_numbers(std::size_t count) {
    EXPECT_TRUE(wait([&] { return messages_.size() >= count; }));
    std::vector<std::int64_t> out;
    note([&] {
      for (const auto& [link, envelope] : messages_)
        out.push_back(envelope.step_output().step());
    });
    return out;
  }
  Error wait_down(LinkId link) {
    EXPECT_TRUE(wait([&] { return downs_.count(link) > 0; }));
    Error out;
    note([&] { out = downs_[link]; });
    return out;
  }
  std::size_t count_down() {
    std::size_t out = 0;
    note([&] { out = downs_.size(); });
    return out;
  }

  bool refuse = false;
  std::function<void(const Peer&, const Envelope&)> before_message;  // set before bind()

 private:
  std::vector<Peer> peers_;
  std::vector<std::pair<LinkId, Envelope>> messages_;
  std::map<LinkId, Error> downs_;
};

class Client : public DialerHandler, public Heard {
 public:
  void on_message(const Envelope& envelope) override {
    note([&] { numbers_.push_back(envelope.step_output().step()); });
  }
  void on_down(const Error& why) override {
    note([&] { downs_.push_back(why); });
  }
  std::vector<std::int64_t> wait_numbers(std::size_t count) {
    EXPECT_TRUE(wait([&] { return numbers_.size() >= count; }));
    std::vector<std::int64_t> out;
    note([&] { out = numbers_; });
    return out;
  }
  Error wait_down() {
    EXPECT_TRUE(wait([&] { return !downs_.empty(); }));
    Error out;
    note([&] {
      EXPECT_EQ(downs_.size(), 1u);
      out = downs_.front();
    });
    return out;
  }

 private:
  std::vector<std::int64_t> numbers_;
  std::vector<Error> downs_;
};

inline std::vector<std::int64_t> numbers_to(std::int64_t count) {
  std::vector<std::int64_t> out;
  for (std::int64_t i = 0; i < count; ++i)
    out.push_back(i);
  return out;
}

// A listener and what it heard. Members outlive the listener, which is the last of them.
struct Listening {
  Server server;
  Log log;
  LinkLimits limits;
  std::string endpoint;
  std::unique_ptr<Listener> listener;

  explicit Listening(LinkLimits with = {}) : limits(with) {}
  Listening& bind() {
    auto bound = Listener::bind({.name = "head", .token = good_token, .limits = limits, .log = log.sink()}, server);
    EXPECT_TRUE(bound) << bound.error().message;
    if (bound) listener = std::move(*bound);
    if (listener) endpoint = listener->endpoint();
    return *this;
  }
  Result<std::unique_ptr<Dialer>> dial(Client& client, std::int32_t rank = 0, std::int64_t incarnation = 1) {
    return Dialer::dial({.name = "worker",
                         .endpoint = endpoint,
                         .token = good_token,
                         .rank = rank,
                         .incarnation = incarnation,
                         .limits = limits,
                         .log = {}},
                        client, soon());
  }
};

}  // namespace weft::wire
