// A naive device that breaks the one rule that WEFT_MUTANT names; unset, it breaks none.
#include <sys/stat.h>
#include <unistd.h>
#include <weft/device.h>
#include <weft/plugin.h>

#include <array>
#include <memory>
#include <mutex>
#include <new>
#include <thread>

#include "tests/conformance/mutants/device/checks.h"
#include "tests/conformance/mutants/device/memory.h"
#include "tests/conformance/mutants/device/rows.h"
#include "tests/conformance/mutants/device/sequences.h"
#include "tests/conformance/mutants/switch.h"

namespace {

using namespace weft::mutant;
using weft::Buffer;
using weft::Bytes;
using weft::DType;
using weft::ErrorCode;
using weft::Result;
using weft::Status;
using weft::Stream;

// Whose turn it is in a state that all devices of the process share, as one with a static scratch buffer would.
struct Turn {
  std::mutex mutex;  // guards the others
  const void* device = nullptr;
  std::thread::id thread;
};
Turn shared_turn;

// Whether another device has had the state in another thread since this one's last call.
bool loses_turn(const void* device) {
  const std::lock_guard lock(shared_turn.mutex);
  const bool lost =
      shared_turn.device != nullptr && shared_turn.device != device && shared_turn.thread != std::this_thread::get_id();
  shared_turn.device = device;
  shared_turn.thread = std::this_thread::get_id();
  return lost;
}

class Naive final : public weft::Device {
 public:
  weft::DeviceInfo info() const override {
    std::vector<DType> types{DType::f32, DType::f16, DType::bf16};
    if (breaks("hides_a_type")) types.pop_back();
    return {.description = breaks("two_lines_of_description") ? "loops\nin double" : "loops in double",
            .index = breaks("has_a_wrong_index") ? -2 : -1,
            .memory_total = memory_of_a_device,
            .batch_invariant = !breaks("is_not_invariant"),
            .compute_types = types};
  }

  Result<Buffer> allocate(Bytes bytes) override { return memory_.allocate(bytes); }
  void release(Buffer buffer) noexcept override { memory_.release(buffer); }
  Stream stream() noexcept override {
    return {.native = breaks("another_stream_each_time") ? &streams_[++stream_ % streams_.size()] : nullptr};
  }
  Status copy_in(Buffer to, const void* host, Bytes bytes, Stream stream) override {
    WEFT_TRY(check_stream(stream));
    return memory_.copy_in(to, host, bytes);
  }
  Status copy_out(void* host, Buffer from, Bytes bytes, Stream stream) override {
    WEFT_TRY(check_stream(stream));
    return memory_.copy_out(host, from, bytes);
  }
  Status synchronize(Stream stream) override {
    memory_.finish_copies();
    return check_stream(stream);
  }

  Result<std::unique_ptr<weft::Weight>> load_weight(std::span<const weft::WeightPart> parts,
                                                    const weft::WeightSpec& spec) override {
    return make_weight(parts, spec);
  }
  Bytes kv_block_bytes(const weft::KvSpec& spec) const noexcept override { return bytes_of_block(spec); }
  Result<std::unique_ptr<weft::KvCache>> create_kv_cache(const weft::KvSpec& spec, std::int32_t blocks) override {
    return make_cache(spec, blocks);
  }

  Status embed(const weft::EmbedArgs& args, Stream stream) override {
    return done(stream, args.out.rows, check_embed(args), [&] { weft::mutant::embed(args); });
  }
  Status rms_norm(const weft::NormArgs& args, Stream stream) override {
    if (breaks("norm_changes_umask")) ::umask(077);
    return done(stream, args.in.rows, check_norm(args), [&] { weft::mutant::rms_norm(args); });
  }
  Status linear(const weft::LinearArgs& args, Stream stream) override {
    if (breaks("leaves_a_thread")) std::thread([] { ::pause(); }).detach();
    const bool lost = breaks("shares_its_state") && loses_turn(this);
    if (lost) return {};
    return done(stream, args.in.rows, check_linear(args), [&] { weft::mutant::linear(args); });
  }
  Status rope_and_append(const weft::RopeArgs& args, Stream stream) override {
    return done(stream, args.batch.tokens, check_rope(args), [&] { weft::mutant::rope_and_append(args); });
  }
  Status attention(const weft::AttentionArgs& args, Stream stream) override {
    if (args.batch.tokens == 0 && breaks("refuses_an_empty_step"))
      return weft::fail(ErrorCode::invalid_argument, "no tokens");
    return done(stream, args.batch.tokens, check_attention(args), [&] { weft::mutant::attention(args); });
  }
  Status gather_rows(const weft::TensorView& in, Buffer rows, const weft::TensorView& out, Stream stream) override {
    return done(stream, out.rows, check_gather(in, rows, out), [&] { weft::mutant::gather(in, rows, out); });
  }
  Status argmax(const weft::TensorView& logits, Buffer ids, Buffer values, Stream stream) override {
    return done(stream, logits.rows, check_argmax(logits, ids, values),
                [&] { weft::mutant::argmax(logits, ids, values); });
  }
  void* query(std::string_view id) override { return breaks("answers_query") && id == "device" ? this : nullptr; }

 private:
  // Does the work where nothing is wrong with it.
  template <class Work>
  Status done(Stream stream, std::int64_t rows, const Status& checked, Work&& work) {
    WEFT_TRY(check_stream(stream));
    WEFT_TRY(checked);
    if (rows == 0 && breaks("refuses_no_rows")) return weft::fail(ErrorCode::invalid_argument, "no rows");
    try {
      work();
    } catch (const std::bad_alloc&) {
      return weft::fail(ErrorCode::resource_exhausted, "no memory for the work");
    }
    return {};
  }

  Memory memory_;
  std::array<char, 8> streams_{};
  std::size_t stream_ = 0;
};

Result<std::unique_ptr<weft::Device>> create(const weft::PluginOptions&, weft::HostServices&) {
  return std::make_unique<Naive>();
}

constexpr const char* capabilities[] = {"f32", "f16", "bf16", "batch_invariant"};

}  // namespace

WEFT_PLUGIN(weft::Device, {.name = MUTANT_NAME,
                           .version = "1.0.0",
                           .summary = "breaks a rule of devices",
                           .capabilities = capabilities,
                           .create = &create})
