#include "engine/weights/safetensors_header.h"

#include <fmt/format.h>

#include <limits>
#include <new>
#include <nlohmann/json.hpp>

#include "engine/weights/json_file.h"

namespace weft::engine {
namespace {

using Json = nlohmann::json;

// {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, "__metadata__": {"key": "value"}}
class HeaderReader : public nlohmann::json_sax<Json> {
 public:
  HeaderTensors tensors;
  Error error{ErrorCode::data_loss, "header: not valid JSON", false};

  bool null() override { return refuse("null"); }
  bool boolean(bool) override { return refuse("a boolean"); }
  bool number_float(number_float_t, const string_t& text) override { return refuse("the number " + in_quotes(text)); }
  bool binary(binary_t&) override { return refuse("binary data"); }

  bool number_integer(number_integer_t value) override { return refuse(fmt::format("the negative number {}", value)); }

  bool number_unsigned(number_unsigned_t value) override {
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
      return refuse(fmt::format("the number {}", value));
    if (place_ != Place::list) return refuse("a number");
    const auto number = static_cast<std::int64_t>(value);
    if (field_ == "shape") {
      if (tensor_->shape.size() == 8) return refuse("a shape of more than 8 dimensions");
      tensor_->shape.push_back(number);
      return true;
    }
    if (offset_count_ == 2) return refuse("a third offset");
    tensor_->offsets[offset_count_++] = number;
    return true;
  }

  bool string(string_t& text) override {
    if (place_ == Place::metadata) return true;
    if (place_ != Place::tensor || field_ != "dtype") return refuse("the string " + in_quotes(text));
    if (!tensor_->type.empty()) return refuse("'dtype' twice");
    if (text.empty()) return refuse("an empty 'dtype'");
    tensor_->type = text;
    return true;
  }

  bool start_object(std::size_t) override {
    if (place_ == Place::outside) {
      place_ = Place::top;
      return true;
    }
    if (place_ != Place::top) return refuse("an object");
    place_ = name_ == "__metadata__" ? Place::metadata : Place::tensor;
    field_.clear();
    return true;
  }

  bool key(string_t& text) override {
    if (place_ == Place::top) return begin_entry(text);
    if (place_ == Place::metadata) return true;
    field_ = text;
    if (text == "dtype" || text == "shape" || text == "data_offsets") return true;
    return refuse("the unknown field " + in_quotes(text));
  }

  bool end_object() override {
    place_ = place_ == Place::top ? Place::outside : Place::top;
    return true;
  }

  bool start_array(std::size_t) override {
    if (place_ != Place::tensor || (field_ != "shape" && field_ != "data_offsets")) return refuse("a list");
    bool& seen = field_ == "shape" ? tensor_->has_shape : tensor_->has_offsets;
    if (seen) return refuse(in_quotes(field_) + " twice");
    seen = true;
    offset_count_ = 0;
    place_ = Place::list;
    return true;
  }

  bool end_array() override {
    place_ = Place::tensor;
    if (field_ == "data_offsets" && offset_count_ != 2) return refuse("a single offset");
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    error.message = fmt::format("header: not valid JSON at byte {}; the file is damaged or cut short", position);
    return false;
  }

 private:
  enum class Place { outside, top, metadata, tensor, list };

  bool begin_entry(const std::string& name) {
    name_ = name;
    if (name == "__metadata__") return true;
    const auto [at, fresh] = tensors.try_emplace(name);
    tensor_ = &at->second;
    return fresh || refuse("the same name twice");
  }

  bool refuse(const std::string& found) {
    const std::string where = place_ == Place::outside || name_.empty() ? "header" : "tensor " + in_quotes(name_);
    error = {ErrorCode::data_loss,
             fmt::format("{}: {} in the header, where the safetensors format has none", where, found), false};
    return false;
  }

  Place place_ = Place::outside;
  std::string name_;
  std::string field_;
  HeaderTensor* tensor_ = nullptr;
  std::size_t offset_count_ = 0;
};

}  // namespace

Result<HeaderTensors> parse_safetensors_header(std::string_view json) {
  HeaderReader reader;
  try {
    if (!Json::sax_parse(json, &reader)) return fail(std::move(reader.error));
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::resource_exhausted, "header: not enough memory to read it");
  }
  return std::move(reader.tensors);
}

}  // namespace weft::engine
