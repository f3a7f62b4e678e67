// A model's directory that was cut short, damaged or written by somebody hostile: an error that names what is wrong.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <set>
#include <string>

#include "engine/model/model_config.h"
#include "engine/model/runner_spec.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/model/tiny_model.h"

namespace weft::engine {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::TemporaryDirectory;
using test::tiny_config;

constexpr const char* bundled = WEFT_SOURCE_DIR "/models/weft-tiny";

// The bundled model's directory, its weights a copy that a test may damage.
class DamagedModel : public testing::Test {
 protected:
  DamagedModel() {
    fs::copy_file(std::string(bundled) + "/config.json", directory_.file("config.json"));
    fs::copy_file(std::string(bundled) + "/model.safetensors", weights_);
    size_ = fs::file_size(weights_);
  }

  // Exchanges one byte and returns what stood there.
  char exchange(std::size_t at, char byte) {
    std::fstream file(weights_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(at));
    const char before = static_cast<char>(file.get());
    file.seekp(static_cast<std::streamoff>(at));
    file.put(byte);
    return before;
  }
  std::size_t header_bytes() {
    std::ifstream file(weights_, std::ios::binary);
    std::size_t length = 0;
    for (std::size_t i = 0; i < 8; ++i)
      length |= static_cast<std::size_t>(static_cast<unsigned char>(file.get())) << (8 * i);
    return length;
  }

  TemporaryDirectory directory_;
  std::string weights_ = directory_.file("model.safetensors");
  std::size_t size_ = 0;
  std::mt19937_64 random_{11};
};

TEST_F(DamagedModel, CutShortAtTwoHundredRandomPlacesIsRefusedEachTime) {
  std::set<std::size_t, std::greater<>> sizes;  // from long to short: the file is cut again and again
  while (sizes.size() < 150)
    sizes.insert(random_() % size_);
  while (sizes.size() < 200)  // within the header, which such a file mostly is not
    sizes.insert(random_() % (header_bytes() + 8));
  for (const std::size_t size : sizes) {
    fs::resize_file(weights_, size);
    const auto model = read_model_config(directory_.path());
    ASSERT_FALSE(model) << size << " bytes of " << size_;
    EXPECT_EQ(model.error().code, ErrorCode::data_loss) << size << ": " << model.error().message;
    EXPECT_NE(model.error().message.find("model.safetensors: "), std::string::npos) << model.error().message;
  }
}

TEST_F(DamagedModel, WithABitOfItsHeaderFlippedIsRefusedOrNamesNoOtherShape) {
  const auto whole = read_model_config(directory_.path());
  ASSERT_TRUE(whole) << whole.error().message;
  const std::size_t header = header_bytes() + 8;
  int refused = 0;
  for (int i = 0; i < 400; ++i) {
    const std::size_t at = random_() % header;
    const char before = exchange(at, 0);
    exchange(at, static_cast<char>(before ^ (1 << (random_() % 8))));
    const auto model = read_model_config(directory_.path());
    exchange(at, before);
    if (model) {  // in the metadata, or a space that became another one
      EXPECT_EQ(model->shape.weight_bytes, whole->shape.weight_bytes) << "byte " << at;
      continue;
    }
    ++refused;
    EXPECT_NE(model.error().message.find("weights: "), std::string::npos) << model.error().message;
  }
  EXPECT_GT(refused, 300);
}

TEST_F(DamagedModel, OfTenGigabytesOfHeaderIsRefusedUnread) {
  fs::resize_file(weights_, 0);
  fs::resize_file(weights_, 10'000'000'008);  // a hole: it takes no space on the disk
  const std::uint64_t length = 10'000'000'000;
  for (std::size_t i = 0; i < 8; ++i)
    exchange(i, static_cast<char>(length >> (8 * i)));
  const auto model = read_model_config(directory_.path());
  ASSERT_FALSE(model);
  EXPECT_NE(model.error().message.find("a header of 10000000000 bytes, at most 100000000 are allowed"),
            std::string::npos)
      << model.error().message;
}

TEST_F(DamagedModel, ThatIsNoRegularFileIsRefused) {
  fs::remove(weights_);
  fs::create_directory(weights_);
  const auto model = read_model_config(directory_.path());
  ASSERT_FALSE(model);
  EXPECT_NE(model.error().message.find("not a regular file"), std::string::npos) << model.error().message;
}

// Every key of a config.json, for every family, with every value that it cannot have.
TEST(HostileConfig, NoValueOfAnyKeyCrashesOrGivesSizesThatCannotBe) {
  const json bad = {
      nullptr,        -1,         0,    1,    2147483647, 2147483648, -9223372036854775807, 18446744073709551615u,
      1e18,           1e308,      -0.5, 0.1,  "",         "eight",    json::array(),        {1, 2},
      json::object(), {{"a", 1}}, true, false};
  for (const std::string& architecture : known_architectures()) {
    json whole = tiny_config({{"architectures", {architecture}}, {"hidden_activation", "gelu_pytorch_tanh"}});
    const json good = whole;
    for (const auto& [key, original] : good.items()) {
      for (const json& value : bad) {
        whole[key] = value;
        const auto model = parse_model_config(whole, nullptr);
        if (!model) {
          EXPECT_NE(model.error().message.find("config.json"), std::string::npos) << model.error().message;
          continue;
        }
        EXPECT_GT(model->shape.hidden, 0) << key << value;
        EXPECT_GT(model->shape.vocabulary, 0) << key << value;
        EXPECT_EQ(model->decoder.layers.size(), static_cast<std::size_t>(model->shape.layers)) << key << value;
        const auto memory = estimate_memory(*model, {.model_directory = "", .position = {}}, 1024);
        if (memory) {
          EXPECT_GT(memory->weights, 0u) << key << value;
        }
      }
      whole[key] = original;
    }
  }
}

TEST(HostileConfig, SizesThatAreNoneAreNamedForEveryFamily) {
  for (const std::string& architecture : known_architectures())
    for (const char* key :
         {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size"})
      for (const json& value : json{nullptr, -1, 0, 1e18, 2147483648, "8", json::array({8}), true}) {
        const auto model = parse_model_config(tiny_config({{"architectures", {architecture}}, {key, value}}), nullptr);
        ASSERT_FALSE(model) << architecture << " " << key << " " << value;
        EXPECT_NE(model.error().message.find("'" + std::string(key) + "' is "), std::string::npos)
            << model.error().message;
      }
}

}  // namespace
}  // namespace weft::engine
