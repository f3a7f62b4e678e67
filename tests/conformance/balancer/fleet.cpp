#include "tests/conformance/balancer/fleet.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace weft::conformance {
namespace {

std::vector<ReplicaId> first_ids(ReplicaId count) {
  std::vector<ReplicaId> ids(static_cast<std::size_t>(count));
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

constexpr ReplicaId loaded_one = 2;
constexpr int many = 1000;
constexpr Trial few_requests{
    .loaded = 20, .picks = 8, .free_least = 1, .free_of_three = 1, .half_least = 2, .charged_most = 0};
constexpr Trial shares{.loaded = many,
                       .picks = many,
                       .free_least = 160,
                       .free_of_three = 210,
                       .half_least = 390,
                       .charged_most = many / 8 - 1};  // less than half an even share among four

// Of four replicas the one with far more gets nothing.
bool spares_the_loaded(Context& context) {
  Fleet fleet(context, 4);
  fleet.load(loaded_one, 20, 1);
  return fleet.spread(12, 100'000)[loaded_one] == 0;
}

// As many picks as were loaded: were none of them ever to end, a third of them each is still less than that.
bool shares_tell_the_loaded(Context& context) {
  Fleet level(context, 4);
  const auto even = level.spread(many, 1);
  const bool shared = even.size() == 4 && std::all_of(even.begin(), even.end(), [](const auto& entry) {
                        return entry.second >= shares.free_least;
                      });
  if (!shared) return false;  // uneven on purpose: what a share would be is not known
  Fleet fleet(context, 4);
  fleet.load(loaded_one, many, 1);
  return fleet.spread(many, 100'000)[loaded_one] <= shares.charged_most;
}

}  // namespace

Fleet::Fleet(Context& context, ReplicaId count) : Fleet(context, first_ids(count)) {}

Fleet::Fleet(Context& context, const std::vector<ReplicaId>& ids)
    : context_(context), balancer_(context.create<LoadBalancer>()) {
  for (const ReplicaId id : ids)
    join(id, 1);
}

Result<Decision> Fleet::try_pick(const Ask& ask) {
  return balancer_->pick({.id = ask.id,
                          .prompt_tokens = ask.prompt,
                          .max_tokens = ask.max_tokens,
                          .block_hashes = ask.hashes,
                          .affinity = ask.affinity},
                         {.replicas = table}, now);
}

ReplicaId Fleet::pick(const Ask& ask) {
  const Decision decision = context_.take(try_pick(ask), fmt::format("pick of request {}", ask.id));
  const ReplicaView* const chosen = row(decision.replica);
  if (chosen == nullptr)
    context_.fail(fmt::format("request {} went to replica {}, which is not in the table", ask.id, decision.replica));
  if (!chosen->eligible)
    context_.fail(fmt::format("request {} went to replica {}, which is not eligible", ask.id, decision.replica));
  return decision.replica;
}

void Fleet::dispatched(const Ask& ask, ReplicaId replica) {
  observe({.kind = Event::Kind::dispatched,
           .replica = replica,
           .incarnation = row(replica)->incarnation,
           .request = ask.id,
           .prompt_tokens = ask.prompt,
           .max_tokens = ask.max_tokens});
}

void Fleet::finished(RequestId id, ReplicaId replica, std::int32_t generated) {
  observe({.kind = Event::Kind::finished,
           .replica = replica,
           .incarnation = row(replica)->incarnation,
           .request = id,
           .generated = generated});
}

void Fleet::dropped(RequestId id, ReplicaId replica) {
  observe({.kind = Event::Kind::dropped, .replica = replica, .incarnation = row(replica)->incarnation, .request = id});
}

void Fleet::leave(ReplicaId id) {
  const std::int64_t incarnation = row(id)->incarnation;
  std::erase_if(table, [id](const ReplicaView& view) { return view.id == id; });
  observe({.kind = Event::Kind::left, .replica = id, .incarnation = incarnation});
}

void Fleet::join(ReplicaId id, std::int64_t incarnation) {
  const ReplicaView fresh{.id = id, .incarnation = incarnation, .eligible = true, .capacity = 1 << 20};
  const auto at = std::lower_bound(table.begin(), table.end(), id,
                                   [](const ReplicaView& view, ReplicaId wanted) { return view.id < wanted; });
  if (at != table.end() && at->id == id)
    *at = fresh;
  else
    table.insert(at, fresh);
  observe({.kind = Event::Kind::joined, .replica = id, .incarnation = incarnation});
}

ReplicaView* Fleet::row(ReplicaId id) {
  const auto at = std::find_if(table.begin(), table.end(), [id](const ReplicaView& view) { return view.id == id; });
  return at == table.end() ? nullptr : &*at;
}

void Fleet::only(ReplicaId id) {
  for (ReplicaView& view : table)
    view.eligible = view.id == id;
}

void Fleet::all() {
  for (ReplicaView& view : table)
    view.eligible = true;
}

std::map<ReplicaId, int> Fleet::spread(int count, RequestId first_id, std::int32_t prompt, std::int32_t max_tokens) {
  std::map<ReplicaId, int> counts;
  for (int i = 0; i < count; ++i)
    ++counts[pick({.id = first_id + static_cast<RequestId>(i), .prompt = prompt, .max_tokens = max_tokens})];
  return counts;
}

void Fleet::load(ReplicaId id, int count, RequestId first_id, std::int32_t prompt, std::int32_t max_tokens) {
  const std::vector<ReplicaView> kept = table;
  only(id);
  for (int i = 0; i < count; ++i) {
    const Ask ask{.id = first_id + static_cast<RequestId>(i), .prompt = prompt, .max_tokens = max_tokens};
    dispatched(ask, pick(ask));
  }
  table = kept;
}

int largest(const std::map<ReplicaId, int>& counts) {
  int most = 0;
  for (const auto& [replica, count] : counts)
    most = std::max(most, count);
  return most;
}

void expect_spread(Context& context, const std::map<ReplicaId, int>& counts, std::size_t replicas,
                   std::string_view what) {
  int picks = 0;
  for (const auto& [replica, count] : counts)
    picks += count;
  const double allowed =
      context.profile().limit("spread") * static_cast<double>(picks) / static_cast<double>(replicas) + 8;
  context.expect(largest(counts) <= allowed, fmt::format("{}: {} of {} picks went to one of {} replicas, at most {}",
                                                         what, largest(counts), picks, replicas, allowed));
}

// Three of four are loaded, and the fourth has room for all that follows. Whoever draws replicas by lot leaves it out now
// and then: three drawn of four have it 200 times in a row with a chance of (3/4)^200 = 1e-25.
bool always_takes_the_least(Context& context) {
  constexpr int picks = many / 5;
  Fleet fleet(context, 4);
  for (const ReplicaId id : {0, 1, 3})
    fleet.load(id, many, static_cast<RequestId>(id) * many + 1);
  return fleet.spread(picks, 100'000)[2] == picks;
}

std::optional<Trial> trial_of_weighing(Context& context) {
  if (spares_the_loaded(context) && always_takes_the_least(context)) return few_requests;
  if (shares_tell_the_loaded(context)) return shares;
  return std::nullopt;
}

Trial needs_weighing(Context& context) {
  if (const std::optional<Trial> trial = trial_of_weighing(context)) return *trial;
  if (context.profile().fixture("weighs_charges") != nullptr)
    context.fail(
        fmt::format("the profile's [fixtures] say weighs_charges, but four equal replicas did not share {0} picks "
                    "evenly, or one of "
                    "them with {0} requests got more than {1} of the next {0}: charge each pick, or take the key out",
                    many, shares.charged_most));
  context.skip("this balancer does not weigh charges: what ends one is not seen");
}

bool weighs_tokens(Context& context) {
  Fleet fleet(context, 4);
  for (ReplicaId id = 0; id < 4; ++id)
    fleet.load(id, 1, static_cast<RequestId>(id + 1), id == 2 ? 20'000 : 10, id == 2 ? 20'000 : 10);
  return fleet.spread(40, 1000, 10, 10)[2] == 0;
}

}  // namespace weft::conformance
