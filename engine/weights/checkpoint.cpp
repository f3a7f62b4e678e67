#include "engine/weights/checkpoint.h"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "engine/weights/json_file.h"

namespace weft::engine {
namespace {

namespace fs = std::filesystem;

constexpr const char* single_name = "model.safetensors";
constexpr const char* index_name = "model.safetensors.index.json";
constexpr Bytes max_index_bytes = 64u << 20;

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

tl::unexpected<Error> nothing_found(const fs::path& directory) {
  std::error_code problem;
  if (!fs::is_directory(directory, problem))
    return fail(ErrorCode::not_found, fmt::format("{}: no such directory", directory.string()));
  for (const char* other : {"pytorch_model.bin", "pytorch_model.bin.index.json"})
    if (is_there(directory / other))
      return fail(ErrorCode::not_found,
                  fmt::format("{}: it holds {}, which is not read; convert it to {} (transformers: save_pretrained)",
                              directory.string(), other, single_name));
  return fail(ErrorCode::not_found,
              fmt::format("{}: neither {} nor {} is there", directory.string(), single_name, index_name));
}

// {"metadata": ..., "weight_map": {"tensor": "file"}} -> tensor -> file. Files are plain names of the same
// directory.
Result<std::map<std::string, std::string>> read_index(const fs::path& path) {
  WEFT_ASSIGN(index, read_json_file(path.string(), max_index_bytes));
  const auto map = index.find("weight_map");
  if (map == index.end() || !map->is_object() || map->empty())
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: no 'weight_map' from tensors to files; expected a non-empty object", index_name));
  std::map<std::string, std::string> files;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string())
      return fail(ErrorCode::invalid_argument, fmt::format("{}: tensor {}: {} where a file's name is expected",
                                                           index_name, in_quotes(tensor), file.type_name()));
    const auto& name = file.get_ref<const std::string&>();
    const std::string_view suffix = ".safetensors";
    const bool plain = name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos && name.front() != '.' &&
                       name.size() > suffix.size() && name.ends_with(suffix);
    if (!plain)
      return fail(ErrorCode::invalid_argument,
                  fmt::format("{}: tensor {} is said to be in {}, expected a .safetensors file beside the index",
                              index_name, in_quotes(tensor), in_quotes(name)));
    files.emplace(tensor, name);
  }
  return files;
}

}  // namespace

Checkpoint::Found Checkpoint::find(std::string_view name) const noexcept {
  const auto at = places_.find(name);
  if (at == places_.end()) return {};
  const Safetensors& file = files_[at->second];
  return {&file.tensors().find(name)->second, file.label()};
}

Result<const TensorEntry*> Checkpoint::tensor(std::string_view name, std::span<const std::int64_t> shape) const {
  const auto [entry, file] = find(name);
  if (entry == nullptr)
    return fail(ErrorCode::not_found,
                fmt::format("weights: tensor {} of shape {} is missing", in_quotes(name), shape_text(shape)));
  if (!std::equal(shape.begin(), shape.end(), entry->shape.begin(), entry->shape.end()))
    return fail(ErrorCode::invalid_argument, fmt::format("weights: {}: tensor {}: shape {}, expected {}", file,
                                                         in_quotes(name), shape_text(entry->shape), shape_text(shape)));
  if (!entry->dtype || !is_float(*entry->dtype))
    return fail(ErrorCode::unimplemented, fmt::format("weights: {}: tensor {}: dtype {}, expected F32, F16 or BF16",
                                                      file, in_quotes(name), entry->stored_as));
  return entry;
}

std::vector<std::string_view> Checkpoint::names() const {
  std::vector<std::string_view> names;
  names.reserve(places_.size());
  for (const auto& place : places_)
    names.push_back(place.first);
  return names;
}

Bytes Checkpoint::bytes() const noexcept {
  Bytes sum = 0;
  for (const Safetensors& file : files_)
    for (const auto& entry : file.tensors())
      sum += entry.second.bytes;
  return sum;
}

Result<Checkpoint> Checkpoint::open(const std::string& directory) {
  const fs::path folder(directory);
  std::map<std::string, std::string> index;  // empty: one file
  std::vector<std::string> file_names;
  if (is_there(folder / single_name)) {
    file_names.emplace_back(single_name);
  } else if (is_there(folder / index_name)) {
    auto read = read_index(folder / index_name);
    if (!read) return fail(annotate(std::move(read).error(), "weights"));
    index = std::move(*read);
    std::map<std::string_view, bool> seen;
    for (const auto& [tensor, file] : index)
      if (seen.emplace(file, true).second) file_names.push_back(file);
  } else {
    return fail(annotate(nothing_found(folder).value(), "weights"));
  }

  Checkpoint checkpoint;
  checkpoint.files_.reserve(file_names.size());  // names in places_ point into the files, which must not move
  for (const std::string& name : file_names) {
    if (!index.empty() && !is_there(folder / name))
      return fail(ErrorCode::not_found, fmt::format("weights: {} names the shard {}, which is missing from {}",
                                                    index_name, in_quotes(name), directory));
    auto file = Safetensors::open((folder / name).string());
    if (!file) return fail(annotate(std::move(file).error(), "weights"));
    checkpoint.files_.push_back(std::move(*file));
  }
  for (std::size_t i = 0; i < checkpoint.files_.size(); ++i) {
    for (const auto& [tensor, entry] : checkpoint.files_[i].tensors()) {
      const auto said = index.find(tensor);
      if (!index.empty() && (said == index.end() || said->second != file_names[i]))
        return fail(
            ErrorCode::invalid_argument,
            fmt::format("weights: {}: holds tensor {}, which {} {}", file_names[i], in_quotes(tensor), index_name,
                        said == index.end() ? "does not name" : "places in " + in_quotes(said->second)));
      checkpoint.places_.emplace(tensor, i);
    }
  }
  for (const auto& [tensor, file] : index)
    if (!checkpoint.places_.contains(tensor))
      return fail(ErrorCode::invalid_argument, fmt::format("weights: {}: tensor {} is missing, which {} places there",
                                                           file, in_quotes(tensor), index_name));
  return checkpoint;
}

}  // namespace weft::engine
