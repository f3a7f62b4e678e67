#include "cli/model_identity.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <vector>

namespace weft::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t whole_up_to = 64u << 20;  // bytes; longer files are sampled
constexpr std::uintmax_t samples = 4096;
constexpr std::size_t sample_bytes = 4096;

bool counts(const fs::path& file) {
  const std::string extension = file.extension().string();
  return extension == ".json" || extension == ".safetensors" || extension == ".model" || extension == ".jinja";
}

// Size, then the whole file or samples of it.
void add_file(const std::string& path, XXH3_state_t& state) {
  std::error_code code;
  const std::uintmax_t size = fs::file_size(path, code);
  const std::string name = fs::path(path).filename().string();
  XXH3_128bits_update(&state, name.data(), name.size());
  XXH3_128bits_update(&state, &size, sizeof size);
  std::ifstream file(path, std::ios::binary);
  std::array<char, sample_bytes> bytes;
  const std::uintmax_t step = size <= whole_up_to ? sample_bytes : size / samples;
  for (std::uintmax_t at = 0; at < size && file; at += step) {
    file.seekg(static_cast<std::streamoff>(at));
    file.read(bytes.data(), bytes.size());
    XXH3_128bits_update(&state, bytes.data(), static_cast<std::size_t>(file.gcount()));
    file.clear();
  }
}

std::string hash_of_files(const Setup& setup) {
  std::vector<std::string> files;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(setup.config.model.path, code))
    if (entry.is_regular_file(code) && counts(entry.path())) files.push_back(entry.path().string());
  std::sort(files.begin(), files.end());
  if (!setup.config.model.chat_template.empty()) files.push_back(setup.config.model.chat_template);
  XXH3_state_t* state = XXH3_createState();
  XXH3_128bits_reset(state);
  for (const std::string& file : files)
    add_file(file, *state);
  const XXH128_hash_t hash = XXH3_128bits_digest(state);
  XXH3_freeState(state);
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace

std::string model_identity(const Setup& setup) {
  const GenerationDefaults& generation = setup.model.generation;
  const auto number = [](const auto& value) { return value ? fmt::format("{}", *value) : std::string("-"); };
  const ModelShape& shape = setup.model.shape;
  return fmt::format("{} {}x{} v{} {}, {}, context {}, max_tokens {}, sampling {}/{}/{}/{}/{}/{}", shape.architecture,
                     shape.layers, shape.hidden, shape.vocabulary, hash_of_files(setup), to_string(setup.dtype()),
                     setup.config.model.max_context.value_or(shape.max_context), setup.config.batch.max_tokens,
                     number(generation.do_sample), number(generation.temperature), number(generation.top_k),
                     number(generation.top_p), number(generation.min_p), number(generation.repetition_penalty));
}

}  // namespace weft::cli
