// Device: where tensor arithmetic happens. Whole operations on whole batches, so that a device may fuse inside.
//
// Shapes: T rows (tokens of the step), H hidden, Hq query heads, Hkv KV heads, D head_dim, V vocabulary (this rank's
// shard), all of this rank. Matrices are row-major. Activations have the type their TensorView names (f32, bf16, f16);
// arithmetic is done in f32 or better and rounded once when stored. Logits are f32.
//
// Threads: one thread at a time a device object; several objects may be in use at once. Operations are queued on
// `stream`; a host device has done them on return. Sizes are checked: a wrong shape is invalid_argument, never a write
// outside an output. Capability "batch_invariant": a row's result is the same bits whatever the other rows are.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weft/buffer.h"
#include "weft/dtype.h"
#include "weft/status.h"

namespace weft {

// A matrix in a device's memory. Rows may be apart.
struct TensorView {
  Buffer buffer{};
  DType type = DType::f32;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t row_stride = 0;  // elements from one row to the next; 0: `columns`

  std::int64_t stride() const noexcept { return row_stride == 0 ? columns : row_stride; }
};

// What a weight is for, so that a device may pack it as it will be read.
enum class WeightUse : std::uint8_t {
  linear = 0,     // [N, K]: out = in * W^T
  embedding = 1,  // [rows, H]: looked up by row
  vector = 2,     // [1, N]: norms; kept in f32
  table = 3,      // [rows, N]: kept in f32 (rope: cos in the first half of a row, sin in the second)
};

// One matrix in host memory, as the checkpoint has it (a shard may be a part of its rows or of its columns).
struct WeightPart {
  const void* data = nullptr;
  DType type = DType::f32;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t row_stride = 0;  // elements; 0: columns
  const void* bias = nullptr;   // [rows] of `type`; null: none (all parts or none)
};

struct WeightSpec {
  std::string name;  // for messages: "layers.3.qkv"
  WeightUse use = WeightUse::linear;
  DType compute = DType::f32;  // type of matrix operands
  std::string quantization = "none";
};

// A weight as the device keeps it: parts that are read together stand one below the other. Freed before its device.
class Weight {
 public:
  virtual ~Weight() = default;
  virtual std::int64_t rows() const noexcept = 0;
  virtual std::int64_t columns() const noexcept = 0;
  virtual Bytes bytes() const noexcept = 0;  // memory it takes on the device
};

struct KvSpec {
  std::int32_t layers = 0;    // of this rank
  std::int32_t kv_heads = 0;  // of this rank
  std::int32_t head_dim = 0;
  std::int32_t block_size = 16;  // tokens
  DType type = DType::f32;
};

// Paged keys and values of all layers of a rank; the layout is the device's own. Freed before its device.
class KvCache {
 public:
  virtual ~KvCache() = default;
  virtual std::int32_t blocks() const noexcept = 0;
  virtual Bytes bytes() const noexcept = 0;
};

// The sequences of a step. Rows of one sequence lie together; prefill and decode rows stand in one batch. All buffers
// are in the device's memory, i32.
struct PagedBatch {
  std::int32_t tokens = 0;      // T
  std::int32_t sequences = 0;   // S
  std::int32_t max_blocks = 0;  // columns of block_tables
  Buffer positions{};           // [T] place of each row's token in its sequence
  Buffer slots{};               // [T] block * block_size + offset: where its key and value go
  Buffer row_starts{};          // [S + 1] first row of each sequence
  Buffer context_lengths{};     // [S] tokens in the cache once this step's are written
  Buffer block_tables{};        // [S, max_blocks] a sequence's blocks in order; what lies past its context is not read
};

struct EmbedArgs {
  const Weight* table = nullptr;  // embedding [rows, H]
  Buffer ids{};                   // [T] i32
  std::int32_t first_row = 0;     // the id of the table's first row: a shard of the vocabulary
  float scale = 1;
  TensorView out{};  // [T, H]; ids outside the shard give zeros
};

struct NormArgs {
  const Weight* weight = nullptr;  // vector [1, H]
  float epsilon = 1e-5f;
  float weight_offset = 0;  // added to each weight (Gemma: 1)
  TensorView in{};          // [T, H]
  // [T, H]; empty buffer: none. Else residual += in, and what is normed is that sum as stored (rounded to its type).
  TensorView residual{};
  TensorView out{};  // [T, H]; may be `in`
};

enum class Activation : std::uint8_t { silu = 0, gelu_tanh = 1, gelu = 2 };

struct LinearArgs {
  enum class Epilogue : std::uint8_t {
    store = 0,  // out = in * W^T + bias
    add = 1,    // out += in * W^T + bias
    gate = 2,   // weight rows are [gate; up]: out = activation(gate) * up, out is [T, N / 2]
  };
  const Weight* weight = nullptr;  // [N, K], loaded as linear: a tied embedding is loaded twice
  TensorView in{};                 // [T, K]
  TensorView out{};                // [T, N]
  Epilogue epilogue = Epilogue::store;
  Activation activation = Activation::silu;
};

struct RopeArgs {
  TensorView qkv{};  // [T, (Hq + 2 Hkv) * D]; queries and keys are turned in place
  std::int32_t query_heads = 0;
  std::int32_t kv_heads = 0;
  std::int32_t head_dim = 0;
  const Weight* table = nullptr;       // [positions, rotary_dim]: cos | sin; null: no rotation
  std::int32_t rotary_dim = 0;         // first elements of a head that turn; pairs (i, i + rotary_dim / 2)
  const Weight* query_norm = nullptr;  // [1, D] RMS norm of each query head before it turns; null: none
  const Weight* key_norm = nullptr;
  float epsilon = 1e-5f;
  float weight_offset = 0;
  PagedBatch batch{};
  KvCache* cache = nullptr;
  std::int32_t layer = 0;  // index within the cache
};

struct AttentionArgs {
  TensorView qkv{};  // as rope_and_append left it; only the queries are read
  TensorView out{};  // [T, Hq * D]
  std::int32_t query_heads = 0;
  std::int32_t kv_heads = 0;
  std::int32_t head_dim = 0;
  float scale = 1;          // of q . k, before the soft cap
  float soft_cap = 0;       // c: s -> c tanh(s / c); 0: none
  std::int32_t window = 0;  // a row sees this many positions, itself included; 0: all before it
  PagedBatch batch{};
  const KvCache* cache = nullptr;
  std::int32_t layer = 0;
};

struct DeviceInfo {
  std::string description;  // for a human: "AVX-512 (8 x f32), 2 threads"
  MemoryKind memory = MemoryKind::host;
  std::int32_t index = -1;
  Bytes memory_total = 0;  // 0: unknown
  bool batch_invariant = false;
  std::vector<DType> compute_types;
};

class Device {
 public:
  static constexpr const char* plugin_kind = "device";
  static constexpr std::uint32_t interface_version = 1;

  virtual ~Device() = default;
  virtual DeviceInfo info() const = 0;

  // Memory, zeroed, aligned to 64 bytes at least. resource_exhausted when there is no more.
  virtual Result<Buffer> allocate(Bytes bytes) = 0;
  virtual void release(Buffer buffer) noexcept = 0;
  virtual Stream stream() noexcept = 0;  // the device's own; lives as long as the device
  virtual Status copy_in(Buffer to, const void* host, Bytes bytes, Stream stream) = 0;  // `host` is read before return
  virtual Status copy_out(void* host, Buffer from, Bytes bytes, Stream stream) = 0;     // done on return
  virtual Status synchronize(Stream stream) = 0;

  // Reads the parts once and keeps nothing of them. The parts' columns are equal; their rows add up.
  virtual Result<std::unique_ptr<Weight>> load_weight(std::span<const WeightPart> parts, const WeightSpec& spec) = 0;
  virtual Bytes kv_block_bytes(const KvSpec& spec) const noexcept = 0;  // of all layers
  virtual Result<std::unique_ptr<KvCache>> create_kv_cache(const KvSpec& spec, std::int32_t blocks) = 0;

  virtual Status embed(const EmbedArgs& args, Stream stream) = 0;
  virtual Status rms_norm(const NormArgs& args, Stream stream) = 0;
  virtual Status linear(const LinearArgs& args, Stream stream) = 0;
  virtual Status rope_and_append(const RopeArgs& args, Stream stream) = 0;
  virtual Status attention(const AttentionArgs& args, Stream stream) = 0;
  // out[i] = in[rows[i]]; rows: [out.rows] i32; types are equal.
  virtual Status gather_rows(const TensorView& in, Buffer rows, const TensorView& out, Stream stream) = 0;
  // ids: [R] i32, the first index of each row's largest value (NaN is never the largest; a row of NaN alone gives 0 and
  // NaN); values: [R] f32 or empty.
  virtual Status argmax(const TensorView& logits, Buffer ids, Buffer values, Stream stream) = 0;

  // Optional interfaces by id (experts, graphs, sampling on the device); null where the device lacks one.
  virtual void* query(std::string_view interface_id) = 0;
};

}  // namespace weft
