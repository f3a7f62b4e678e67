// A replica whose ranks are threads: every plan runs on all of them, and the leader's logits come back.
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/model/model_runner.h"
#include "tests/support/thread_communicator.h"

namespace weft::test {

using DeviceFactory = std::function<Result<std::unique_ptr<Device>>()>;

struct ReplicaSpec {
  std::string model_directory;
  DeviceFactory make_device;
  std::int32_t tensor = 1;
  std::int32_t pipeline = 1;
  std::int32_t blocks = 64;
  engine::RunnerSpec runner{};  // limits and dtype; the rest is set here
};

class ThreadReplica {
 public:
  // Loads every rank; the first rank's error, if there is one.
  static Result<std::unique_ptr<ThreadReplica>> load(const ReplicaSpec& spec) {
    auto replica = std::make_unique<ThreadReplica>();
    for (std::int32_t pp = 0; pp < spec.pipeline; ++pp)
      for (std::int32_t tp = 0; tp < spec.tensor; ++tp) {
        auto rank = std::make_unique<Rank>();
        rank->spec = spec.runner;
        rank->spec.model_directory = spec.model_directory;
        rank->spec.position = {.tp_rank = tp, .tp_size = spec.tensor, .pp_rank = pp, .pp_size = spec.pipeline};
        replica->ranks_.push_back(std::move(rank));
      }
    Status loaded = replica->on_all([&](Rank& rank) -> Status {
      WEFT_ASSIGN(device, spec.make_device());
      rank.device = std::move(device);
      rank.spec.device = rank.device.get();
      const engine::RankPosition at = rank.spec.position;
      WEFT_TRY(replica->join(rank.tensor, "tp/" + std::to_string(at.pp_rank), at.tp_rank, at.tp_size));
      WEFT_TRY(replica->join(rank.pipeline, "pp/" + std::to_string(at.tp_rank), at.pp_rank, at.pp_size));
      rank.spec.tensor_group = rank.tensor.get();
      rank.spec.pipeline_group = rank.pipeline.get();
      WEFT_ASSIGN(runner, engine::ModelRunner::load(rank.spec));
      rank.runner = std::move(runner);
      return rank.runner->create_cache(spec.blocks);
    });
    WEFT_TRY(loaded);
    return replica;
  }

  Result<engine::LogitsView> forward(const engine::StepPlan& plan, const engine::ScoreSink& scores = {}) {
    engine::LogitsView logits;
    Status ran = on_all([&](Rank& rank) -> Status {
      // Only the leader may be given any: a sink that another rank called would be a second thread in it.
      WEFT_ASSIGN(view, rank.runner->forward(plan, scores));
      if (&rank == ranks_.front().get())
        logits = view;
      else if (view.samples != 0)
        return fail(ErrorCode::internal, "a follower has logits");
      return {};
    });
    WEFT_TRY(ran);
    return logits;
  }

  engine::ModelRunner& runner(std::size_t rank) { return *ranks_[rank]->runner; }
  std::size_t size() const { return ranks_.size(); }

 private:
  struct Rank {
    engine::RunnerSpec spec;
    std::unique_ptr<Device> device;
    std::unique_ptr<Group> tensor, pipeline;
    std::unique_ptr<engine::ModelRunner> runner;
  };

  Status join(std::unique_ptr<Group>& group, const std::string& id, std::int32_t rank, std::int32_t size) {
    if (size == 1) return {};
    WEFT_ASSIGN(opened, communicator_.open({.id = id, .rank = rank, .size = size}));
    group = std::move(opened);
    return {};
  }

  // Runs `work` on a thread for each rank. A rank that fails breaks the others' groups, so that none waits for it.
  Status on_all(const std::function<Status(Rank&)>& work) {
    std::vector<std::future<Status>> results;
    for (auto& rank : ranks_)
      results.push_back(std::async(std::launch::async, [&work, rank = rank.get()] {
        Status status = work(*rank);
        for (Group* group : {rank->tensor.get(), rank->pipeline.get()})
          if (!status && group != nullptr) group->abort(status.error());
        return status;
      }));
    Status first;
    for (auto& result : results)
      if (Status status = result.get(); !status && first) first = std::move(status);
    return first;
  }

  ThreadCommunicator communicator_;
  std::vector<std::unique_ptr<Rank>> ranks_;
};

}  // namespace weft::test
