// Each request goes where it is expected to be done first, by what each replica has to do and how fast it is. So a replica
// that is twice as fast gets twice the tokens.
#pragma once

#include <weft/load_balancer.h>

#include "ledger.h"
#include "speeds.h"

namespace weighted {

class Weighted final : public weft::LoadBalancer {
 public:
  explicit Weighted(Speeds speeds) : speeds_(std::move(speeds)) {}

  weft::Result<weft::Decision> pick(const weft::RequestView& request, const weft::ReplicaTable& table,
                                    weft::Time now) override;
  void observe(const weft::Event& event, weft::Time now) override;
  void* query(std::string_view) override { return nullptr; }

 private:
  struct Choice {
    const weft::ReplicaView* best = nullptr;
    double done = 0;  // when it would be done, in tokens at speed 1
  };
  Choice choose(const weft::ReplicaTable& table, double cost) const;

  Ledger ledger_;
  Speeds speeds_;
  weft::ReplicaId last_ = -1;  // picked
};

}  // namespace weighted
