#include "engine/model/rank_shape.h"

#include <fmt/format.h>

namespace weft::engine {
namespace {

Status check_split(const ModelShape& shape, RankPosition at) {
  const auto refuse = [](std::string message) { return fail(ErrorCode::invalid_argument, "model: " + message); };
  if (at.tp_size < 1 || at.tp_rank < 0 || at.tp_rank >= at.tp_size || at.pp_size < 1 || at.pp_rank < 0 ||
      at.pp_rank >= at.pp_size)
    return refuse(fmt::format("no rank tp {} of {}, pp {} of {}", at.tp_rank, at.tp_size, at.pp_rank, at.pp_size));
  if (at.pp_size > shape.layers)
    return refuse(fmt::format("pipeline = {}, but the model has {} layers", at.pp_size, shape.layers));
  if (shape.query_heads % at.tp_size != 0)
    return refuse(fmt::format("tensor = {} does not divide the {} query heads", at.tp_size, shape.query_heads));
  if (shape.kv_heads % at.tp_size != 0 && at.tp_size % shape.kv_heads != 0)
    return refuse(
        fmt::format("tensor = {} neither divides nor is a multiple of the {} KV heads", at.tp_size, shape.kv_heads));
  if (shape.intermediate < at.tp_size || shape.vocabulary < at.tp_size)
    return refuse(fmt::format("tensor = {} is more than the MLP's width, {}, or the vocabulary, {}", at.tp_size,
                              shape.intermediate, shape.vocabulary));
  return {};
}

}  // namespace

Result<RankShape> rank_shape(const ModelShape& shape, RankPosition position) {
  WEFT_TRY(check_split(shape, position));
  const std::int32_t rank = position.tp_rank;
  const std::int32_t size = position.tp_size;
  RankShape out{
      .position = position,
      .layers = even_slice(shape.layers, position.pp_rank, position.pp_size),
      .query_heads = even_slice(shape.query_heads, rank, size),
      .intermediate = even_slice(shape.intermediate, rank, size),
      .vocabulary = even_slice(shape.vocabulary, rank, size),
      .vocabulary_width = (shape.vocabulary + size - 1) / size,
      .first_stage = position.pp_rank == 0,
      .last_stage = position.pp_rank == position.pp_size - 1,
  };
  // Fewer KV heads than ranks: each rank holds the one that its query heads share.
  out.kv_heads = shape.kv_heads % size == 0 ? even_slice(shape.kv_heads, rank, size)
                                            : Slice{std::int64_t{rank} * shape.kv_heads / size, 1};
  return out;
}

}  // namespace weft::engine
