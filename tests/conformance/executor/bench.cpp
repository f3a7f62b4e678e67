#include "tests/conformance/executor/bench.h"

#include <fmt/format.h>

namespace weft::conformance::ex {

Bench::Bench(Context& context) : context_(context), parts_(std::make_unique<Parts>(context)) {
  parts_->sinks.emplace_back(context_, parts_->conduct);
  parts_->executor = context.create<Executor>();
}

Bench::~Bench() {
  if (std::uncaught_exceptions() == exceptions_) return;
  for (Recorder& sink : parts_->sinks)
    sink.mute();
  (void)parts_.release();
}

Recorder& Bench::another_sink() const { return parts_->sinks.emplace_back(context_, parts_->conduct); }

GangSpec Bench::gang(const GangId& id, std::int32_t ranks) const {
  GangSpec spec{.gang = id, .ranks = {}};
  for (std::int32_t rank = 0; rank < ranks; ++rank)
    spec.ranks.push_back(post().rank_spec(id, rank));
  return spec;
}

GangSpec Bench::exits(const GangId& id, const std::vector<int>& codes) const {
  GangSpec spec{.gang = id, .ranks = {}};
  for (const int code : codes)
    spec.ranks.push_back(post().exit_spec(static_cast<std::int32_t>(spec.ranks.size()), code));
  return spec;
}

void Bench::launch(const GangSpec& spec, Recorder& to) const {
  context_.expect_ok(parts_->executor->launch(spec, to),
                     fmt::format("launch of gang {}.{}", spec.gang.id, spec.gang.incarnation));
}

std::vector<Peer*> Bench::start(const GangSpec& spec, Recorder& to) const {
  launch(spec, to);
  // An exit instead is told by what it says.
  to.wait(
      [&](const std::vector<Told>& told) {
        for (const Told& one : told) {
          if (one.gang == spec.gang && one.what == Told::What::placed) return true;
          if (one.gang == spec.gang && one.what == Told::What::exit)
            context_.fail(fmt::format("rank {} of gang {}.{} ended with {} before it was placed", one.rank,
                                      spec.gang.id, spec.gang.incarnation, to_text(one.exit)));
        }
        return false;
      },
      fmt::format("gang {}.{} was not placed", spec.gang.id, spec.gang.incarnation));
  std::vector<Peer*> peers;
  for (const RankSpec& rank : spec.ranks)
    peers.push_back(&post().peer(spec.gang, rank.rank));
  return peers;
}

void Bench::end(const GangSpec& spec) const {
  context_.expect_ok(parts_->executor->stop(spec.gang, at_once),
                     fmt::format("stop of gang {}.{}", spec.gang.id, spec.gang.incarnation));
  sink().wait_exits(spec.gang, spec.ranks.size());
}

std::vector<Node> Bench::nodes() const {
  return context_.take(parts_->executor->inventory(Deadline::in(patience(context_))), "inventory").nodes;
}

}  // namespace weft::conformance::ex
