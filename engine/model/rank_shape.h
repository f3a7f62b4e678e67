// What of a model one rank holds: which layers, heads, MLP columns and ids. Pure.
#pragma once

#include <cstdint>

#include "engine/weights/shard.h"
#include "weft/model_shape.h"
#include "weft/status.h"

namespace weft::engine {

struct RankPosition {
  std::int32_t tp_rank = 0;
  std::int32_t tp_size = 1;
  std::int32_t pp_rank = 0;
  std::int32_t pp_size = 1;
};

struct RankShape {
  RankPosition position;
  Slice layers;
  Slice query_heads;
  Slice kv_heads{};    // held by several ranks where tp is a multiple of the KV heads
  Slice intermediate;  // of an MLP's columns; where there are experts, of each expert's
  Slice vocabulary;
  std::int64_t vocabulary_width = 0;  // of the widest shard: what every rank's logits are padded to
  bool first_stage = true;
  bool last_stage = true;

  // Of a dimension of which each tensor rank has an even part.
  Slice share_of(std::int64_t total) const noexcept { return even_slice(total, position.tp_rank, position.tp_size); }
  bool leader() const noexcept { return position.tp_rank == 0 && first_stage; }
};

// invalid_argument where the model cannot be split so; the message says which sizes do not divide.
Result<RankShape> rank_shape(const ModelShape& shape, RankPosition position);

}  // namespace weft::engine
