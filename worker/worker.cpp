#include "worker/worker.h"

#include <fmt/format.h>
#include <unistd.h>
#include <xxhash.h>

#include <array>
#include <functional>

#include "worker/guarded.h"
#include "worker/leader.h"

namespace weft::worker {
namespace {

// Until Assign has told the configuration's own timeouts.
constexpr Duration join_timeout = std::chrono::seconds(60);

wire::Envelope hello(const Environment& environment, const FoundPlugins& plugins, const std::string& build) {
  wire::Envelope envelope;
  wire::Hello& hello = *envelope.mutable_hello();
  hello.set_rank(environment.rank);
  std::array<char, 256> host{};
  (void)gethostname(host.data(), host.size() - 1);
  hello.set_host(wire::to_utf8(host.data()));
  hello.set_pid(getpid());
  hello.set_build(build);
  for (const LoadedPlugin* plugin : plugins.all) {
    wire::PluginIdentity& identity = *hello.add_plugins();
    identity.set_kind(plugin->info.kind);
    identity.set_name(plugin->info.name);
    identity.set_version(plugin->info.version);
    identity.set_sha256(plugin->info.sha256);
  }
  return envelope;
}

wire::Phase phase(wire::PhaseKind kind, const Environment& environment, Time since) {
  wire::Phase made;
  made.set_kind(kind);
  made.set_rank(environment.rank);
  made.set_seconds(std::chrono::duration<double>(Clock::now() - since).count());
  return made;
}

std::string names(const FoundPlugins& plugins) {
  std::string all;
  for (const LoadedPlugin* plugin : plugins.all)
    all += (all.empty() ? "" : ", ") + plugin->id();
  return all;
}

// One hash for a replica: of its ranks' hashes, by rank.
std::string combine(const std::vector<std::string>& hashes) {
  std::string all;
  for (const std::string& hash : hashes)
    all += hash;
  const XXH128_hash_t hash = XXH3_128bits(all.data(), all.size());
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  return {reinterpret_cast<const char*>(canonical.digest), sizeof canonical.digest};
}

// What the head says goes to `heard` for as long as this lives, and no longer: it uses what was made before it.
class Listening {
 public:
  Listening(HeadLink& head, std::function<void(std::optional<wire::Envelope>)> heard) : head_(head) {
    head_.set_listener(std::move(heard));
  }
  ~Listening() { head_.set_listener(nullptr); }
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;

 private:
  HeadLink& head_;
};

Status lead(Rank& rank, HeadLink& head, const Environment& environment, Progress& progress, Time since) {
  WEFT_ASSIGN(hashes, rank.gather_hashes());
  const std::string combined = combine(hashes);
  Leader leader(rank, head, environment, progress);
  const Listening listening(head, [&](std::optional<wire::Envelope> envelope) {
    // Whoever is in a collective with a head that is gone, or that says Stop after something broke, must come back.
    if (!envelope) rank.abort_groups({ErrorCode::unavailable, "the head is gone"});
    leader.deliver(std::move(envelope));
  });
  WEFT_TRY(leader.compare_replicas(combined));
  WEFT_TRY(leader.attach());
  wire::Phase ready = phase(wire::PHASE_READY, environment, since);
  ready.set_config_hash(rank.assign().config_hash());
  ready.set_weights_hash(combined);
  for (const std::string& hash : hashes)
    ready.add_rank_hashes(hash);
  ready.set_kv_blocks(rank.kv_blocks());
  head.phase(std::move(ready));
  return leader.run();
}

Status follow_until_stopped(Rank& rank, HeadLink& head, Progress& progress) {
  std::atomic<bool> stop{false};
  std::atomic<bool> head_gone{false};
  WEFT_TRY(rank.gather_hashes());
  const Listening listening(head, [&](std::optional<wire::Envelope> envelope) {
    if (envelope && !envelope->has_stop()) return;
    head_gone.store(!envelope);
    stop.store(true);
    rank.abort_groups({ErrorCode::cancelled, envelope ? "the head says stop" : "the head is gone"});
  });
  const Status ended = follow(rank, progress, stop);
  if (head_gone.load()) return fail(ErrorCode::unavailable, "the head is gone");
  return ended;
}

Status work(const Environment& environment, HeadLink& head, const FoundPlugins& plugins, const std::string& build,
            Progress& progress) {
  const Time started = Clock::now();
  WEFT_TRY(head.send(hello(environment, plugins, build)));
  WEFT_ASSIGN(assign, head.assignment(Deadline::in(join_timeout)));
  WEFT_ASSIGN(rank, Rank::open(plugins, std::move(assign), head.store()));
  head.start_events(rank->config().timeouts.lease, progress);
  head.phase(phase(wire::PHASE_JOINED, environment, started));

  const Status ended = guarded(names(plugins), [&]() -> Status {
    const Time loading = Clock::now();
    WEFT_TRY(rank->load(progress));
    wire::Phase loaded = phase(wire::PHASE_LOADED, environment, loading);
    loaded.set_weights_hash(rank->weights_hash());
    loaded.set_weight_bytes(rank->runner().memory().weights);
    head.phase(std::move(loaded));
    return rank->leads() ? lead(*rank, head, environment, progress, loading)
                         : follow_until_stopped(*rank, head, progress);
  });
  if (!ended) {
    head.failure(ended.error());  // before the rank's groups break and its peers tell of that
    return ended;
  }
  (void)rank->close_groups(Deadline::in(std::chrono::seconds(1)));  // an aborted group has nothing more to say
  head.phase(phase(wire::PHASE_STOPPED, environment, started));
  return {};
}

}  // namespace

int run_worker(const std::string& build) {
  const Result<Environment> environment = read_environment();
  if (!environment) {
    fmt::print(stderr, "weft worker: {}\n", environment.error().message);
    return 2;
  }
  log::set_up(environment->log);
  Progress progress;
  std::unique_ptr<HeadLink> head;
  const Status ended = [&]() -> Status {
    WEFT_ASSIGN(plugins, find_plugins(*environment));
    WEFT_ASSIGN(joined, HeadLink::join(*environment, Deadline::in(join_timeout)));
    head = std::move(joined);
    return guarded(names(plugins), [&] { return work(*environment, *head, plugins, build, progress); });
  }();
  if (ended) return 0;
  log::error("worker", "{}", ended.error().message);
  if (head != nullptr) head->failure(ended.error());
  return 1;
}

}  // namespace weft::worker
