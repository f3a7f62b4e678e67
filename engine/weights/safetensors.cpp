#include "engine/weights/safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "engine/weights/json_file.h"
#include "engine/weights/safetensors_header.h"

namespace weft::engine {
namespace {

constexpr std::uint64_t max_header_bytes = 100'000'000;  // the limit of Hugging Face's own reader

struct StoredType {
  std::string_view name;
  std::int64_t bytes;
  std::optional<DType> dtype;
};

constexpr StoredType stored_types[] = {
    {"F32", 4, DType::f32},   {"F16", 2, DType::f16},       {"BF16", 2, DType::bf16},     {"I32", 4, DType::i32},
    {"I64", 8, DType::i64},   {"U8", 1, DType::u8},         {"BOOL", 1, std::nullopt},    {"I8", 1, std::nullopt},
    {"I16", 2, std::nullopt}, {"U16", 2, std::nullopt},     {"U32", 4, std::nullopt},     {"U64", 8, std::nullopt},
    {"F64", 8, std::nullopt}, {"F8_E4M3", 1, std::nullopt}, {"F8_E5M2", 1, std::nullopt}, {"F8_E8M0", 1, std::nullopt},
};

const StoredType* find_type(std::string_view name) {
  for (const StoredType& type : stored_types)
    if (type.name == name) return &type;
  return nullptr;
}

// Elements times bytes; nullopt on overflow. A dimension of 0 makes an empty tensor.
std::optional<std::int64_t> size_in_bytes(const std::vector<std::int64_t>& shape, std::int64_t element) {
  std::int64_t product = element;
  for (const std::int64_t dimension : shape)
    if (__builtin_mul_overflow(product, dimension, &product)) return std::nullopt;
  return product;
}

Result<TensorEntry> check_tensor(const HeaderTensor& tensor, std::span<const std::byte> data) {
  if (tensor.type.empty() || !tensor.has_shape || !tensor.has_offsets)
    return fail(ErrorCode::data_loss, "the header lacks its dtype, shape or data_offsets");
  const StoredType* type = find_type(tensor.type);
  if (type == nullptr)
    return fail(ErrorCode::invalid_argument, fmt::format("unknown dtype {}", in_quotes(tensor.type)));
  const auto [begin, end] = tensor.offsets;
  if (end < begin)
    return fail(ErrorCode::data_loss, fmt::format("offsets [{}, {}]: the end is before the beginning", begin, end));
  if (static_cast<std::uint64_t>(end) > data.size())
    return fail(ErrorCode::data_loss,
                fmt::format("ends at byte {} of the data, but the file holds {}: it is cut short", end, data.size()));
  const auto bytes = size_in_bytes(tensor.shape, type->bytes);
  if (!bytes || *bytes != end - begin)
    return fail(ErrorCode::data_loss, fmt::format("shape {} of {} does not take the {} bytes of its offsets [{}, {}]",
                                                  shape_text(tensor.shape), tensor.type, end - begin, begin, end));
  return TensorEntry{.dtype = type->dtype,
                     .stored_as = tensor.type,
                     .shape = tensor.shape,
                     .data = data.data() + begin,
                     .bytes = static_cast<Bytes>(end - begin)};
}

// Whether the tensors, put in the order of their offsets, cover the data from its first to its last byte.
Status check_cover(const HeaderTensors& tensors, std::uint64_t data_bytes) {
  std::vector<const HeaderTensors::value_type*> order;
  order.reserve(tensors.size());
  for (const auto& entry : tensors)
    order.push_back(&entry);
  std::sort(order.begin(), order.end(),
            [](const auto* a, const auto* b) { return a->second.offsets < b->second.offsets; });
  std::int64_t at = 0;
  std::string_view previous;
  for (const auto* entry : order) {
    const auto [begin, end] = entry->second.offsets;
    if (begin < at)
      return fail(ErrorCode::data_loss, fmt::format("tensor {}: its bytes from {} overlap those of {}, which end at {}",
                                                    in_quotes(entry->first), begin, in_quotes(previous), at));
    if (begin > at)
      return fail(ErrorCode::data_loss, fmt::format("tensor {}: begins at byte {}, but nothing claims the data from {}",
                                                    in_quotes(entry->first), begin, at));
    at = end;
    previous = entry->first;
  }
  if (static_cast<std::uint64_t>(at) != data_bytes)
    return fail(ErrorCode::data_loss,
                fmt::format("the tensors end at byte {} of the data, but the file holds {}", at, data_bytes));
  return {};
}

Result<TensorMap> check_file(std::span<const std::byte> file) {
  constexpr std::size_t prefix = 8;
  if (file.empty()) return fail(ErrorCode::data_loss, "the file is empty");
  if (file.size() < prefix)
    return fail(ErrorCode::data_loss, fmt::format("{} bytes, too short for a safetensors file", file.size()));
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < prefix; ++i)
    length |= std::to_integer<std::uint64_t>(file[i]) << (8 * i);
  if (length > max_header_bytes)
    return fail(ErrorCode::data_loss, fmt::format("a header of {} bytes, at most {} are allowed: no safetensors file, "
                                                  "or a damaged one",
                                                  length, max_header_bytes));
  if (length > file.size() - prefix)
    return fail(ErrorCode::data_loss,
                fmt::format("a header of {} bytes in a file of {}: it is cut short", length, file.size()));
  const auto header = file.subspan(prefix, static_cast<std::size_t>(length));
  const auto data = file.subspan(prefix + static_cast<std::size_t>(length));
  WEFT_ASSIGN(described, parse_safetensors_header({reinterpret_cast<const char*>(header.data()), header.size()}));
  TensorMap tensors;
  for (const auto& [name, tensor] : described) {
    WEFT_ASSIGN_CONTEXT(entry, check_tensor(tensor, data), "tensor " + in_quotes(name));
    tensors.emplace_hint(tensors.end(), name, std::move(entry));
  }
  WEFT_TRY(check_cover(described, data.size()));
  return tensors;
}

}  // namespace

std::string shape_text(std::span<const std::int64_t> shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

Result<Safetensors> Safetensors::view(std::span<const std::byte> file, std::string label) {
  Safetensors result;
  WEFT_ASSIGN_CONTEXT(tensors, check_file(file), label);
  result.label_ = std::move(label);
  result.tensors_ = std::move(tensors);
  return result;
}

Result<Safetensors> Safetensors::open(const std::string& path) {
  WEFT_ASSIGN(file, MappedFile::open(path));
  WEFT_ASSIGN(result, view(file.bytes(), std::filesystem::path(path).filename().string()));
  result.file_ = std::move(file);
  return result;
}

}  // namespace weft::engine
