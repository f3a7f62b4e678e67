#include "kernels/reference/reference_device.h"

#include "kernels/common/checks.h"
#include "kernels/common/host_memory.h"
#include "kernels/reference/matrix.h"
#include "kernels/reference/sequence.h"
#include "kernels/reference/storage.h"

namespace weft {

float load_element(const void* data, DType type, std::int64_t index) noexcept {
  switch (type) {
    case DType::f16: return to_f32(load_unaligned<f16>(data, index));
    case DType::bf16: return to_f32(load_unaligned<bf16>(data, index));
    default: return load_unaligned<float>(data, index);
  }
}

void store_element(void* data, DType type, std::int64_t index, double value) noexcept {
  const auto narrow = static_cast<float>(value);
  switch (type) {
    case DType::f16: static_cast<f16*>(data)[index] = to_f16(narrow); break;
    case DType::bf16: static_cast<bf16*>(data)[index] = to_bf16(narrow); break;
    default: static_cast<float*>(data)[index] = narrow;
  }
}

float round_to(DType type, double value) noexcept {
  const auto narrow = static_cast<float>(value);
  switch (type) {
    case DType::f16: return to_f32(to_f16(narrow));
    case DType::bf16: return to_f32(to_bf16(narrow));
    default: return narrow;
  }
}

Result<std::unique_ptr<ReferenceWeight>> ReferenceWeight::load(std::span<const WeightPart> parts,
                                                               const WeightSpec& spec) {
  auto weight = std::make_unique<ReferenceWeight>();
  WEFT_ASSIGN(shape, check_parts(parts, spec));
  const auto rows = static_cast<Bytes>(shape.rows);
  WEFT_ASSIGN(values, HostMemory::allocate(rows * static_cast<Bytes>(shape.columns) * sizeof(float)));
  WEFT_ASSIGN(bias, HostMemory::allocate(shape.bias ? rows * sizeof(float) : 0));
  const bool rounds = spec.use == WeightUse::linear || spec.use == WeightUse::embedding;
  const DType type = rounds ? spec.compute : DType::f32;
  auto* out = values.as<float>();
  auto* out_bias = bias.as<float>();
  for (const WeightPart& part : parts) {
    const std::int64_t stride = part.row_stride == 0 ? part.columns : part.row_stride;
    for (std::int64_t row = 0; row < part.rows; ++row) {
      for (std::int64_t column = 0; column < part.columns; ++column)
        *out++ = round_to(type, double{load_element(part.data, part.type, row * stride + column)});
      if (shape.bias) *out_bias++ = load_element(part.bias, part.type, row);
    }
  }
  weight->shape_ = std::move(shape);
  weight->values_ = std::move(values);
  weight->bias_ = std::move(bias);
  return weight;
}

Bytes ReferenceKvCache::block_bytes(const KvSpec& spec) noexcept {
  return Bytes{2} * sizeof(float) * static_cast<Bytes>(spec.layers) * static_cast<Bytes>(spec.kv_heads) *
         static_cast<Bytes>(spec.head_dim) * static_cast<Bytes>(spec.block_size);
}

Result<std::unique_ptr<ReferenceKvCache>> ReferenceKvCache::create(const KvSpec& spec, std::int32_t blocks) {
  WEFT_TRY(check_cache(spec, blocks));
  auto cache = std::make_unique<ReferenceKvCache>();
  WEFT_ASSIGN(values, HostMemory::allocate(block_bytes(spec) * static_cast<Bytes>(blocks)));
  cache->shape_ = {.spec = spec, .blocks = blocks};
  cache->values_ = std::move(values);
  return cache;
}

float* ReferenceKvCache::at(std::int32_t layer, std::int32_t which, std::int64_t slot,
                            std::int32_t head) const noexcept {
  const KvSpec& spec = shape_.spec;
  const std::int64_t slots = std::int64_t{shape_.blocks} * spec.block_size;
  return values_.as<float>() +
         (((std::int64_t{layer} * 2 + which) * slots + slot) * spec.kv_heads + head) * spec.head_dim;
}

namespace {

const ReferenceWeight* ours(const Weight* weight) { return dynamic_cast<const ReferenceWeight*>(weight); }
const WeightShape* shape_of(const ReferenceWeight* weight) { return weight == nullptr ? nullptr : &weight->shape(); }
const CacheShape* shape_of(const ReferenceKvCache* cache) { return cache == nullptr ? nullptr : &cache->shape(); }

class ReferenceDevice final : public Device {
 public:
  DeviceInfo info() const override {
    return {.description = "reference: plain loops, 1 thread",
            .memory_total = physical_memory(),
            .batch_invariant = true,
            .compute_types = {DType::f32, DType::f16, DType::bf16}};
  }

  Result<Buffer> allocate(Bytes bytes) override { return heap_.allocate(bytes); }
  void release(Buffer buffer) noexcept override { heap_.release(buffer); }
  Stream stream() noexcept override { return {}; }
  Status copy_in(Buffer to, const void* host, Bytes bytes, Stream stream) override {
    WEFT_TRY(check_stream(stream));
    return copy_to_buffer(to, host, bytes);
  }
  Status copy_out(void* host, Buffer from, Bytes bytes, Stream stream) override {
    WEFT_TRY(check_stream(stream));
    return copy_from_buffer(host, from, bytes);
  }
  Status synchronize(Stream stream) override { return check_stream(stream); }

  Result<std::unique_ptr<Weight>> load_weight(std::span<const WeightPart> parts, const WeightSpec& spec) override {
    return guarded([&]() -> Result<std::unique_ptr<Weight>> { return ReferenceWeight::load(parts, spec); });
  }
  Bytes kv_block_bytes(const KvSpec& spec) const noexcept override {
    return check_cache(spec, 1) ? ReferenceKvCache::block_bytes(spec) : 0;
  }
  Result<std::unique_ptr<KvCache>> create_kv_cache(const KvSpec& spec, std::int32_t blocks) override {
    return guarded([&]() -> Result<std::unique_ptr<KvCache>> { return ReferenceKvCache::create(spec, blocks); });
  }

  Status embed(const EmbedArgs& args, Stream stream) override {
    return guarded([&]() -> Status {
      WEFT_TRY(check_stream(stream));
      const auto* table = ours(args.table);
      WEFT_TRY(check_embed(args, shape_of(table)));
      reference_embed(args, *table);
      return {};
    });
  }
  Status rms_norm(const NormArgs& args, Stream stream) override {
    return guarded([&]() -> Status {
      WEFT_TRY(check_stream(stream));
      const auto* weight = ours(args.weight);
      WEFT_TRY(check_rms_norm(args, shape_of(weight)));
      reference_rms_norm(args, *weight);
      return {};
    });
  }
  Status linear(const LinearArgs& args, Stream stream) override {
    return guarded([&]() -> Status {
      WEFT_TRY(check_stream(stream));
      const auto* weight = ours(args.weight);
      WEFT_TRY(check_linear(args, shape_of(weight)));
      reference_linear(args, *weight);
      return {};
    });
  }
  Status rope_and_append(const RopeArgs& args, Stream stream) override {
    return guarded([&]() -> Status {
      WEFT_TRY(check_stream(stream));
      auto* cache = dynamic_cast<ReferenceKvCache*>(args.cache);
      const RopeTables tables{ours(args.table), ours(args.query_norm), ours(args.key_norm)};
      WEFT_TRY(check_rope(args, {shape_of(tables.table), shape_of(tables.query_norm), shape_of(tables.key_norm)},
                          shape_of(cache)));
      reference_rope_and_append(args, tables, *cache);
      return {};
    });
  }
  Status attention(const AttentionArgs& args, Stream stream) override {
    return guarded([&]() -> Status {
      WEFT_TRY(check_stream(stream));
      const auto* cache = dynamic_cast<const ReferenceKvCache*>(args.cache);
      WEFT_TRY(check_attention(args, shape_of(cache)));
      reference_attention(args, *cache);
      return {};
    });
  }
  Status gather_rows(const TensorView& in, Buffer rows, const TensorView& out, Stream stream) override {
    return guarded([&]() -> Status {
      WEFT_TRY(check_stream(stream));
      WEFT_TRY(check_gather(in, rows, out));
      reference_gather(in, rows, out);
      return {};
    });
  }
  Status argmax(const TensorView& logits, Buffer ids, Buffer values, Stream stream) override {
    return guarded([&]() -> Status {
      WEFT_TRY(check_stream(stream));
      WEFT_TRY(check_argmax(logits, ids, values));
      reference_argmax(logits, ids, values);
      return {};
    });
  }

  void* query(std::string_view) override { return nullptr; }

 private:
  HostHeap heap_;
};

}  // namespace

Result<std::unique_ptr<Device>> make_reference_device() {
  return guarded([]() -> Result<std::unique_ptr<Device>> { return std::make_unique<ReferenceDevice>(); });
}

}  // namespace weft
