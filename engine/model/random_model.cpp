#include "engine/model/random_model.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/model/model_config.h"
#include "engine/model/tensor_list.h"
#include "engine/weights/safetensors_writer.h"

namespace weft::engine {
namespace {

namespace fs = std::filesystem;

constexpr double standard_deviation = 0.02;  // as models of these sizes start from
constexpr const char* generator = "1";       // another one gives other bytes

// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), by its index.
constexpr std::uint64_t mix(std::uint64_t value) noexcept {
  value += 0x9e3779b97f4a7c15u;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

std::uint64_t key_of(std::uint64_t seed, const std::string& name) {
  std::uint64_t key = mix(seed);
  for (const char c : name)
    key = mix(key ^ static_cast<unsigned char>(c));
  return key;
}

// What one tensor is filled with: uniform numbers, or one value.
struct Filling {
  std::uint64_t key = 0;
  bool random = false;
  float value = 0;
};

template <class T>
void fill_with(const Filling& filling, std::int64_t first, std::span<std::byte> out) {
  const auto bound = static_cast<float>(standard_deviation * std::sqrt(3.0));
  const auto count = static_cast<std::int64_t>(out.size() / sizeof(T));
  for (std::int64_t i = 0; i < count; ++i) {
    float value = filling.value;
    if (filling.random) {
      // Four numbers of 16 bits a draw, each the middle of one of 65,536 equal parts of [-bound, bound].
      const auto at = static_cast<std::uint64_t>(first + i);
      const auto part = static_cast<std::uint16_t>(mix(filling.key + at / 4) >> (at % 4 * 16));
      value = (static_cast<float>(part) - 32767.5f) / 32768.0f * bound;
    }
    const T element = from_f32<T>(value);
    std::memcpy(out.data() + static_cast<std::size_t>(i) * sizeof(T), &element, sizeof(T));
  }
}

void fill(DType type, const Filling& filling, Bytes offset, std::span<std::byte> out) {
  const auto first = static_cast<std::int64_t>(offset / size_of(type));
  switch (type) {
    case DType::f16: return fill_with<f16>(filling, first, out);
    case DType::bf16: return fill_with<bf16>(filling, first, out);
    default: return fill_with<float>(filling, first, out);
  }
}

Filling filling_of(const NewTensor& tensor, std::uint64_t seed, double norm_offset) {
  if (tensor.shape.size() > 1) return {.key = key_of(seed, tensor.name), .random = true};
  const bool bias = tensor.name.ends_with(".bias");
  return {.value = bias ? 0.0f : static_cast<float>(1 - norm_offset)};
}

// The one process that makes it; goes with its descriptor.
class MakerLock {
 public:
  explicit MakerLock(const std::string& directory)
      : file_(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
        held_(file_ >= 0 && ::flock(file_, LOCK_EX | LOCK_NB) == 0) {}
  ~MakerLock() {
    if (file_ >= 0) ::close(file_);
  }
  MakerLock(const MakerLock&) = delete;
  MakerLock& operator=(const MakerLock&) = delete;
  bool held() const noexcept { return held_; }

 private:
  const int file_;
  const bool held_;
};

// The first `size` bytes of a file; shorter where it is shorter, empty where there is none.
std::string beginning_of(const std::string& path, std::size_t size) {
  std::ifstream file(path, std::ios::binary);
  std::string text(size, '\0');
  file.read(text.data(), static_cast<std::streamsize>(size));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  return text;
}

std::uintmax_t size_of_file(const std::string& path) {
  std::error_code code;
  const std::uintmax_t size = fs::file_size(path, code);
  return code ? 0 : size;
}

}  // namespace

Result<bool> make_random_model(const std::string& directory, const RandomModel& model) {
  nlohmann::json config = *model.config;
  config["dtype"] = model.type == DType::f32 ? "float32" : model.type == DType::f16 ? "float16" : "bfloat16";
  WEFT_ASSIGN(parsed, parse_model_config(config, nullptr));
  std::vector<NewTensor> tensors;
  std::uintmax_t bytes = 0;
  for (const auto& [name, shape] : expected_tensors(parsed)) {
    tensors.push_back({.name = name, .type = model.type, .shape = shape});
    bytes += static_cast<std::uintmax_t>(tensors.back().elements()) * size_of(model.type);
  }
  const std::map<std::string, std::string> metadata = {
      {"format", "pt"}, {"weft_random", generator}, {"weft_seed", std::to_string(model.seed)}};
  const std::string head = safetensors_head(tensors, metadata);
  const std::string config_text = config.dump(2) + "\n";
  const std::string config_path = directory + "/config.json";
  const std::string weights_path = directory + "/model.safetensors";

  std::error_code code;
  fs::create_directories(directory, code);
  if (!fs::is_directory(directory, code))
    return fail(ErrorCode::permission_denied,
                fmt::format("{}: not a directory, and none could be made; name another folder", directory));
  const MakerLock lock(directory);
  if (!lock.held())
    return fail(ErrorCode::unavailable,
                fmt::format("{}: another process is making the model; wait for it, then try again", directory), true);
  const bool same_config = beginning_of(config_path, config_text.size() + 1) == config_text;
  const bool same_head = beginning_of(weights_path, head.size()) == head;
  if ((fs::exists(config_path, code) && !same_config) || (fs::exists(weights_path, code) && !same_head))
    return fail(
        ErrorCode::already_exists,
        fmt::format("{}: holds another model than the one to be made, or one of another seed or dtype; remove it, "
                    "or name another folder",
                    directory));
  if (same_config && same_head && size_of_file(weights_path) == head.size() + bytes) return false;
  WEFT_TRY(write_safetensors(
      weights_path, tensors, metadata, [&](std::size_t tensor, Bytes offset, std::span<std::byte> out) {
        fill(model.type, filling_of(tensors[tensor], model.seed, parsed.decoder.norm.weight_offset), offset, out);
      }));
  WEFT_TRY(write_whole_file(config_path, config_text));
  return true;
}

}  // namespace weft::engine
