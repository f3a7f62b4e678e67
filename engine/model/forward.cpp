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
    WEFT_TRY(layer.experts.empty() ? mlp(layer.mlp, input_, branch_) : experts(layer));
    WEFT_TRY(finish_branch(layer.mlp_post_norm.get()));
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
                       at_.device, at_.tensor, at_.host.rows));
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

Status Forward::mlp(const MlpWeights& weights, const TensorView& in, const TensorView& out) {
  const TensorView gated = at_.workspace.matrix(Region::gated, at_.dtype, in.rows, weights.gate_up->rows() / 2);
  WEFT_TRY(linear(*weights.gate_up, in, gated, LinearArgs::Epilogue::gate));
  return linear(*weights.down, gated, out);
}

// An expert at a time, over the rows that chose it. Each rank has a part of every expert's columns and all of the router, so
// the ranks choose alike and their sums are parts of one: they are added like an MLP's. A row's sum goes by ascending expert,
// whatever the other rows choose.
Status Forward::experts(const LayerWeights& layer) {
  const ModelShape& shape = at_.config.shape;
  HostRows& rows = at_.host.rows;
  HostRows& sums = at_.host.sums;
  ExpertRouting& routing = at_.host.routing;
  const TensorView scores = at_.workspace.matrix(Region::router, DType::f32, batch_.tokens, shape.experts);
  WEFT_TRY(linear(*layer.router, input_, scores));
  WEFT_TRY(rows.read(at_.device, scores));
  routing.begin(shape.experts, shape.experts_per_token, at_.config.decoder.experts->normalize);
  for (std::int32_t token = 0; token < batch_.tokens; ++token)
    routing.add(rows.row(token));
  routing.finish();
  const std::span<const std::int32_t> order = routing.rows();
  const Buffer indices = at_.workspace[Region::expert_rows].slice(0, order.size_bytes());
  WEFT_TRY(at_.device.copy_in(indices, order.data(), order.size_bytes(), stream_));

  sums.reset(batch_.tokens, shape.hidden);
  for (std::int32_t expert = 0; expert < shape.experts; ++expert) {
    const auto [first, count] = routing.of(expert);
    if (count == 0) continue;
    constexpr Bytes index = sizeof(std::int32_t);
    const TensorView in = at_.workspace.matrix(Region::expert_in, at_.dtype, count, shape.hidden);
    const TensorView out = at_.workspace.matrix(Region::branch, at_.dtype, count, shape.hidden);
    const Buffer chosen = indices.slice(static_cast<Bytes>(first) * index, static_cast<Bytes>(count) * index);
    WEFT_TRY(at_.device.gather_rows(input_, chosen, in, stream_));
    WEFT_TRY(mlp(layer.experts[static_cast<std::size_t>(expert)], in, out));
    WEFT_TRY(rows.read(at_.device, out));
    for (std::int64_t i = 0; i < count; ++i)
      add_scaled(rows.row(i), routing.share(first + i), sums.row(order[static_cast<std::size_t>(first + i)]));
  }
  return sums.write(at_.device, branch_);
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
