// An executor for nodes that a command reaches: ssh, ip netns exec, kubectl exec, or none for this machine. What the command
// runs there is `weft agent`, one for each rank, which starts the rank and reports its end.
//
// One thread does everything: it starts the commands, polls their streams, keeps all deadlines and calls the sinks, so none
// of that needs a lock. Callers leave it orders in a queue and wake it.
#pragma once

#include <weft/executor.h>
#include <weft/host.h>

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "agent_lines.h"
#include "settings.h"
#include "transport.h"

namespace remote {

class RemoteExecutor final : public weft::Executor {
 public:
  RemoteExecutor(Settings settings, weft::HostServices& host);
  ~RemoteExecutor() override;

  weft::Result<weft::Inventory> inventory(weft::Deadline deadline) override;
  weft::Status launch(const weft::GangSpec& spec, weft::GangSink& sink) override;
  weft::Status stop(const weft::GangId& gang, weft::Duration grace) override;
  weft::Status close() override;
  void* query(std::string_view) override { return nullptr; }

 private:
  struct Order {
    weft::GangSpec spec;             // of a stop: the name alone
    weft::GangSink* sink = nullptr;  // null: a stop
    weft::Duration grace{};
  };
  struct Rank {
    std::int32_t number = 0;
    const NodeSettings* node = nullptr;
    std::unique_ptr<Transport> transport;   // null once it has ended
    std::int64_t pid = 0;                   // of the rank, on its node
    bool started = false;                   // the agent has said so
    bool ready = true;                      // its transport is to be pumped
    std::optional<weft::Exit> exit;         // as far as it is known
    weft::Time cut_at = weft::Time::max();  // when the transport is killed
    bool cut = false;                       // it was
    bool told = false;                      // the sink has its exit
    bool over() const { return transport == nullptr; }
  };
  struct Gang {
    weft::GangId id;
    weft::GangSink* sink = nullptr;
    std::vector<Rank> ranks;
    weft::Time start_by;  // every rank must have started
    bool placed = false;  // the sink has heard on_placed
    std::string failure;  // why it will never be placed
    bool ended() const;   // every exit is told
  };
  struct Telling {  // one call of a sink
    weft::GangSink* sink = nullptr;
    weft::GangId gang;
    std::int32_t rank = 0;
    weft::Exit exit;
  };

  // The thread's.
  void run();
  void begin(Order order, bool closing);
  void begin_rank(Gang& gang, const weft::GangSpec& spec, const weft::RankSpec& rank);
  void end(const weft::GangId& id, weft::Duration grace);
  void end(Gang& gang, weft::Duration grace, const std::string& why_not_placed);
  void end_rank(Rank& rank, weft::Duration grace) const;
  void advance(Gang& gang);
  void advance_rank(Gang& gang, Rank& rank);
  void hear(const Gang& gang, Rank& rank, const std::string& line) const;
  void place_if_started(Gang& gang);
  void tell_exits();
  const NodeSettings& emptiest_node() const;
  void wait();

  void wake() const;

  const Settings settings_;
  weft::HostServices& host_;
  int wake_ = -1;  // an eventfd

  std::mutex mutex_;  // guards orders_, names_, closing_, inventory_
  std::deque<Order> orders_;
  std::map<std::string, std::int64_t> names_;  // gangs that live: id -> incarnation
  bool closing_ = false;
  std::optional<weft::Inventory> inventory_;  // machines do not change: asked once

  std::vector<std::unique_ptr<Gang>> gangs_;  // the thread's own
  std::mutex join_mutex_;                     // guards the join in close()
  std::thread thread_;
};

// Asks the agents of all nodes at once for their CPUs and memory; a node whose CPUs the options name is not asked.
// unavailable names every node that did not answer.
weft::Result<weft::Inventory> ask_nodes(const Settings& settings, weft::Deadline deadline);

// What can be seen to be wrong before anything is started.
weft::Status check_spec(const weft::GangSpec& spec, const Settings& settings);

}  // namespace remote
