// An executor, its ranks' post and a sink: what nearly every case works with.
#pragma once

#include <deque>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/conformance/executor/post.h"
#include "tests/conformance/executor/recorder.h"
#include "tests/conformance/harness/context.h"
#include "weft/executor.h"

namespace weft::conformance::ex {

class Bench {
 public:
  explicit Bench(Context& context);
  // After a failure everything is left as it is: the end of a broken executor may hang, and the process ends anyway.
  ~Bench();
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  Executor* operator->() const { return parts_->executor.get(); }
  Executor& operator*() const { return *parts_->executor; }
  Context& context() const { return context_; }
  Post& post() const { return parts_->post; }
  Conduct& conduct() const { return parts_->conduct; }
  Recorder& sink() const { return parts_->sinks.front(); }
  Recorder& another_sink() const;
  void destroy() const { parts_->executor.reset(); }

  // Ranks 0 ... ranks - 1 that take commands.
  GangSpec gang(const GangId& id, std::int32_t ranks) const;
  // Ranks that end at once, with these codes.
  GangSpec exits(const GangId& id, const std::vector<int>& codes) const;
  // Launches into sink(), which must succeed.
  void launch(const GangSpec& spec) const { launch(spec, sink()); }
  void launch(const GangSpec& spec, Recorder& to) const;
  // The same, until each of its ranks, which take commands, is placed and has said hello: those, in the spec's order.
  std::vector<Peer*> start(const GangSpec& spec) const { return start(spec, sink()); }
  std::vector<Peer*> start(const GangSpec& spec, Recorder& to) const;
  // Stops a gang of sink() and waits for its exits.
  void end(const GangSpec& spec) const;
  std::vector<Node> nodes() const;

 private:
  struct Parts {
    Parts(Context& context) : post(context) {}
    Conduct conduct;
    Post post;
    std::deque<Recorder> sinks;
    PluginHandle<Executor> executor;  // goes first
  };
  Context& context_;
  const int exceptions_ = std::uncaught_exceptions();
  std::unique_ptr<Parts> parts_;
};

inline constexpr Duration at_once = Duration::zero();
inline constexpr Duration an_hour = std::chrono::hours(1);  // a grace that no case waits for

}  // namespace weft::conformance::ex
