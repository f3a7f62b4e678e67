#include "tests/conformance/balancer/simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <queue>
#include <tuple>

namespace weft::conformance {
namespace {

class Simulation {
 public:
  Simulation(Fleet& fleet, const std::vector<double>& rates) : fleet_(fleet), start_(fleet.now) {
    for (std::size_t i = 0; i < rates.size(); ++i)
      servers_[fleet.table[i].id] = {.rate = rates[i]};
  }

  Served run(const std::vector<Work>& work) {
    std::size_t next = 0;
    while (next < work.size() || !ends_.empty()) {
      if (next < work.size() && room())
        submit(work[next++]);
      else
        end_one();
    }
    return served_;
  }

 private:
  struct Server {
    double rate = 1;
    double free_at = 0;
  };

  bool room() const {
    return std::any_of(fleet_.table.begin(), fleet_.table.end(), [](const ReplicaView& row) { return row.eligible; });
  }
  void count(ReplicaView& row, std::int32_t change) {
    row.in_flight += change;
    row.eligible = row.in_flight < row.capacity;
  }
  void submit(const Work& work) {
    const Ask ask{.id = ++next_id_, .prompt = work.prompt, .max_tokens = work.max_tokens};
    const ReplicaId replica = fleet_.pick(ask);
    fleet_.dispatched(ask, replica);
    Server& server = servers_[replica];
    server.free_at = std::max(server.free_at, at_) + work.tokens() / server.rate;
    ends_.emplace(server.free_at, ask.id, replica, work.max_tokens);
    ++served_.requests[replica];
    count(*fleet_.row(replica), 1);
  }
  void end_one() {
    const auto [at, id, replica, generated] = ends_.top();
    ends_.pop();
    at_ = at;
    fleet_.now = start_ + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(at));
    fleet_.finished(id, replica, generated);
    count(*fleet_.row(replica), -1);
    served_.makespan = std::max(served_.makespan, at);
  }

  using End = std::tuple<double, RequestId, ReplicaId, std::int32_t>;
  Fleet& fleet_;
  const Time start_;
  double at_ = 0;
  std::map<ReplicaId, Server> servers_;
  std::priority_queue<End, std::vector<End>, std::greater<>> ends_;
  RequestId next_id_ = 0;
  Served served_;
};

}  // namespace

Served simulate(Fleet& fleet, const std::vector<Work>& work, const std::vector<double>& rates) {
  return Simulation(fleet, rates).run(work);
}

double total(const std::vector<Work>& work) {
  double sum = 0;
  for (const Work& one : work)
    sum += one.tokens();
  return sum;
}

double longest(const std::vector<Work>& work) {
  double most = 0;
  for (const Work& one : work)
    most = std::max(most, one.tokens());
  return most;
}

std::vector<Work> skewed_work(Context& context, int count) {
  auto& random = context.random();
  std::vector<Work> work;
  for (int i = 0; i < count; ++i) {
    const std::int32_t scale = random() % 10 == 0 ? 20 : 1;
    work.push_back({.prompt = scale * static_cast<std::int32_t>(10 + random() % 100),
                    .max_tokens = scale * static_cast<std::int32_t>(10 + random() % 100)});
  }
  return work;
}

}  // namespace weft::conformance
