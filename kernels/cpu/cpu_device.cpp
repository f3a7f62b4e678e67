#include "kernels/cpu/cpu_device.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/common/checks.h"
#include "kernels/common/host_memory.h"
#include "kernels/cpu/cpu_operations.h"

namespace weft {
namespace {

const CpuWeight* ours(const Weight* weight) { return dynamic_cast<const CpuWeight*>(weight); }
const WeightShape* shape_of(const CpuWeight* weight) { return weight == nullptr ? nullptr : &weight->shape(); }
const CacheShape* shape_of(const CpuKvCache* cache) { return cache == nullptr ? nullptr : &cache->shape(); }

class CpuDevice final : public Device {
 public:
  explicit CpuDevice(std::unique_ptr<ThreadPool> pool) : operations_(std::move(pool)) {}

  DeviceInfo info() const override {
    const RowKernels& kernels = operations_.row_kernels_in_use();
    const int threads = operations_.threads();
    return {.description = fmt::format("{} ({} x f32), {} thread{}", kernels.target, kernels.lanes, threads,
                                       threads == 1 ? "" : "s"),
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
    return guarded(
        [&]() -> Result<std::unique_ptr<Weight>> { return CpuWeight::load(parts, spec, operations_.pool()); });
  }
  Bytes kv_block_bytes(const KvSpec& spec) const noexcept override {
    return check_cache(spec, 1) ? CpuKvCache::block_bytes(spec) : 0;
  }
  Result<std::unique_ptr<KvCache>> create_kv_cache(const KvSpec& spec, std::int32_t blocks) override {
    return guarded([&]() -> Result<std::unique_ptr<KvCache>> { return CpuKvCache::create(spec, blocks); });
  }

  Status embed(const EmbedArgs& args, Stream stream) override {
    return guarded([&]() -> Status {
      WEFT_TRY(check_stream(stream));
      const auto* table = ours(args.table);
      WEFT_TRY(check_embed(args, shape_of(table)));
      return operations_.embed(args, *table);
    });
  }
  Status rms_norm(const NormArgs& args, Stream stream) override {
    return guarded([&]() -> Status {
      WEFT_TRY(check_stream(stream));
      const auto* weight = ours(args.weight);
      WEFT_TRY(check_rms_norm(args, shape_of(weight)));
      return operations_.rms_norm(args, *weight);
    });
  }
  Status linear(const LinearArgs& args, Stream stream) override {
    return guarded([&]() -> Status {
      WEFT_TRY(check_stream(stream));
      const auto* weight = ours(args.weight);
      WEFT_TRY(check_linear(args, shape_of(weight)));
      return operations_.linear(args, *weight);
    });
  }
  Status rope_and_append(const RopeArgs& args, Stream stream) override {
    return guarded([&]() -> Status {
      WEFT_TRY(check_stream(stream));
      auto* cache = dynamic_cast<CpuKvCache*>(args.cache);
      const CpuOperations::RopeTables tables{ours(args.table), ours(args.query_norm), ours(args.key_norm)};
      WEFT_TRY(check_rope(args, {shape_of(tables.table), shape_of(tables.query_norm), shape_of(tables.key_norm)},
                          shape_of(cache)));
      return operations_.rope_and_append(args, tables, *cache);
    });
  }
  Status attention(const AttentionArgs& args, Stream stream) override {
    return guarded([&]() -> Status {
      WEFT_TRY(check_stream(stream));
      const auto* cache = dynamic_cast<const CpuKvCache*>(args.cache);
      WEFT_TRY(check_attention(args, shape_of(cache)));
      return operations_.attention(args, *cache);
    });
  }
  Status gather_rows(const TensorView& in, Buffer rows, const TensorView& out, Stream stream) override {
    return guarded([&]() -> Status {
      WEFT_TRY(check_stream(stream));
      WEFT_TRY(check_gather(in, rows, out));
      operations_.gather_rows(in, rows, out);
      return {};
    });
  }
  Status argmax(const TensorView& logits, Buffer ids, Buffer values, Stream stream) override {
    return guarded([&]() -> Status {
      WEFT_TRY(check_stream(stream));
      WEFT_TRY(check_argmax(logits, ids, values));
      return operations_.argmax(logits, ids, values);
    });
  }

  void* query(std::string_view) override { return nullptr; }

 private:
  HostHeap heap_;
  CpuOperations operations_;
};

}  // namespace

Result<std::unique_ptr<Device>> make_cpu_device(const CpuDeviceOptions& options) {
  return guarded([&]() -> Result<std::unique_ptr<Device>> {
    const int given = static_cast<int>(options.cpus.size());
    const int threads = options.threads != 0 ? options.threads : std::max(1, given);
    WEFT_ASSIGN_CONTEXT(pool, ThreadPool::make(threads, options.cpus), "device cpu");
    return std::make_unique<CpuDevice>(std::move(pool));
  });
}

}  // namespace weft
