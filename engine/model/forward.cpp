#include "engine/model/forward.h"

namespace weft::engine {

Forward::Forward(const ForwardContext& context, const PagedBatch& batch) noexcept
    : at_(context), batch_(batch), stream_(context.device.stream()) {
  const auto rows = [&](Region region) {
    return at_.workspace.matrix(region, at_.dtype, batch_.tokens, at_.config.shape.hidden);
  };
  residual_ = rows(Region::residual);
  normed_ = rows(Region::normed);
  branch_ = rows(Region::branch);
}

// Each rank looks up the ids of its shard and has zeros for the others: the sum is the whole table's row.
Status Forward::embed() {
  WEFT_TRY(at_.device.embed({.table = at_.weights.embedding.get(),
                             .ids = at_.workspace[Region::ids],
                             .first_row = static_cast<std::int32_t>(at_.rank.vocabulary.first),
                             .scale = static_cast<float>(at_.config.decoder.embedding_scale),
                             .out = residual_},
                            stream_));
  return at_.tensor.all_reduce(residual_);
}

Status Forward::layers() {
  for (std::size_t i = 0; i < at_.weights.layers.size(); ++i) {
    const LayerWeights& layer = at_.weights.layers[i];
    const LayerSpec& spec = at_.config.decoder.layers[static_cast<std::size_t>(at_.rank.layers.first) + i];
    WEFT_TRY(begin_branch(layer.attention_norm.get(), layer));
    WEFT_TRY(attention(layer, spec, static_cast<std::int32_t>(i)));
    WEFT_TRY(begin_branch(layer.mlp_norm.get(), layer));
    WEFT_TRY(mlp(layer));
    if (at_.layers_done != nullptr) at_.layers_done->fetch_add(1, std::memory_order_relaxed);
  }
  // The last stage's final norm adds the last branch; another stage hands on the sum.
  return at_.rank.last_stage ? Status{} : begin_branch(nullptr, at_.weights.layers.back());
}

// Adds the branch before to the residual stream, and norms the sum where there is a norm. Devices add as a part of a norm: where
// there is none before this branch another of the layer's goes with it, and what it makes is not read.
Status Forward::begin_branch(const Weight* norm, const LayerWeights& layer) {
  input_ = norm == nullptr ? residual_ : normed_;
  if (norm != nullptr) return norm_into(*norm, normed_);
  return branch_pending_ ? norm_into(layer.any_norm(), normed_) : Status{};
}

Status Forward::attention(const LayerWeights& layer, const LayerSpec& spec, std::int32_t index) {
  const DecoderSpec& decoder = at_.config.decoder;
  const auto query_heads = static_cast<std::int32_t>(at_.rank.query_heads.count);
  const auto kv_heads = static_cast<std::int32_t>(at_.rank.kv_heads.count);
  const std::int32_t head_dim = at_.config.shape.head_dim;
  const auto rows = batch_.tokens;
  const TensorView qkv =
      at_.workspace.matrix(Region::qkv, at_.dtype, rows, std::int64_t{query_heads + 2 * kv_heads} * head_dim);
  const TensorView attended =
      at_.workspace.matrix(Region::attended, at_.dtype, rows, std::int64_t{query_heads} * head_dim);

  WEFT_TRY(linear(*layer.qkv, input_, qkv));
  if (!layer.full_norm.query.empty())
    WEFT_TRY(full_norm({.weights = layer.full_norm,
                        .qkv = qkv,
                        .query_size = std::int64_t{at_.config.shape.query_heads} * head_dim,
                        .key_size = std::int64_t{at_.config.shape.kv_heads} * head_dim,
                        .epsilon = decoder.norm.epsilon,
                        .weight_offset = decoder.norm.weight_offset,
                        .sums = at_.workspace.matrix(Region::qk_sums, DType::f32, rows, 2)},
                       at_.device, at_.tensor, at_.host));
  const auto rope = static_cast<std::size_t>(spec.rope);
  WEFT_TRY(at_.device.rope_and_append({.qkv = qkv,
                                       .query_heads = query_heads,
                                       .kv_heads = kv_heads,
                                       .head_dim = head_dim,
                                       .table = spec.rope < 0 ? nullptr : at_.weights.ropes[rope].get(),
                                       .rotary_dim = spec.rope < 0 ? 0 : decoder.ropes[rope].dimensions,
                                       .query_norm = layer.query_norm.get(),
                                       .key_norm = layer.key_norm.get(),
                                       .epsilon = static_cast<float>(decoder.norm.epsilon),
                                       .weight_offset = static_cast<float>(decoder.norm.weight_offset),
                                       .batch = batch_,
                                       .cache = &at_.cache,
                                       .layer = index},
                                      stream_));
  WEFT_TRY(at_.device.attention({.qkv = qkv,
                                 .out = attended,
                                 .query_heads = query_heads,
                                 .kv_heads = kv_heads,
                                 .head_dim = head_dim,
                                 .scale = static_cast<float>(decoder.attention_scale),
                                 .soft_cap = static_cast<float>(decoder.attention_soft_cap),
                                 .window = spec.window,
                                 .batch = batch_,
                                 .cache = &at_.cache,
                                 .layer = index},
                                stream_));
  WEFT_TRY(linear(*layer.output, attended, branch_));
  return finish_branch(layer.attention_post_norm.get());
}

Status Forward::mlp(const LayerWeights& layer) {
  const TensorView gated = at_.workspace.matrix(Region::gated, at_.dtype, batch_.tokens, at_.rank.intermediate.count);
  WEFT_TRY(linear(*layer.gate_up, input_, gated, LinearArgs::Epilogue::gate));
  WEFT_TRY(linear(*layer.down, gated, branch_));
  return finish_branch(layer.mlp_post_norm.get());
}

Status Forward::final_norm() { return norm_into(*at_.weights.final_norm, normed_); }

Status Forward::logits(std::int32_t count) {
  const TensorView sampled = at_.workspace.matrix(Region::sampled, at_.dtype, count, at_.config.shape.hidden);
  TensorView out = at_.workspace.matrix(Region::logits, DType::f32, count, at_.rank.vocabulary_width);
  out.columns = at_.rank.vocabulary.count;
  out.row_stride = at_.rank.vocabulary_width;
  WEFT_TRY(at_.device.gather_rows(normed_, at_.workspace[Region::sample_rows], sampled, stream_));
  return linear(*at_.weights.head, sampled, out);
}

Status Forward::norm_into(const Weight& weight, const TensorView& out) {
  const NormSpec& norm = at_.config.decoder.norm;
  NormArgs args{.weight = &weight,
                .epsilon = static_cast<float>(norm.epsilon),
                .weight_offset = static_cast<float>(norm.weight_offset),
                .in = residual_,
                .residual = {},
                .out = out};
  if (branch_pending_) {
    args.in = branch_;
    args.residual = residual_;
  }
  branch_pending_ = false;
  return at_.device.rms_norm(args, stream_);
}

// Sums the ranks' parts of a branch, and norms the sum where the decoder does (Gemma's sandwich).
Status Forward::finish_branch(const Weight* post_norm) {
  WEFT_TRY(at_.tensor.all_reduce(branch_));
  if (post_norm != nullptr) {
    const NormSpec& norm = at_.config.decoder.norm;
    WEFT_TRY(at_.device.rms_norm({.weight = post_norm,
                                  .epsilon = static_cast<float>(norm.epsilon),
                                  .weight_offset = static_cast<float>(norm.weight_offset),
                                  .in = branch_,
                                  .residual = {},
                                  .out = branch_},
                                 stream_));
  }
  branch_pending_ = true;
  return {};
}

Status Forward::linear(const Weight& weight, const TensorView& in, const TensorView& out,
                       LinearArgs::Epilogue epilogue) {
  return at_.device.linear(
      {.weight = &weight, .in = in, .out = out, .epilogue = epilogue, .activation = at_.config.decoder.activation},
      stream_);
}

}  // namespace weft::engine
