// Each takes hostile bytes through one of Weft's parsers. Returns; aborts with a line on stderr where a promise is broken.
// Needs no state of an earlier call, so that one input reproduces what it found.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace weft::fuzz {

using Input = std::span<const std::uint8_t>;

void fuzz_safetensors(Input input);
void fuzz_tokenizer(Input input);
void fuzz_template(Input input);
void fuzz_toml(Input input);
void fuzz_config(Input input);
void fuzz_prompts(Input input);
void fuzz_wire(Input input);
void fuzz_plan(Input input);

struct Target {
  std::string_view name;
  void (*run)(Input);
};
inline constexpr Target targets[] = {
    {"safetensors", fuzz_safetensors}, {"tokenizer", fuzz_tokenizer}, {"template", fuzz_template}, {"toml", fuzz_toml},
    {"config", fuzz_config},           {"prompts", fuzz_prompts},     {"wire", fuzz_wire},         {"plan", fuzz_plan}};

}  // namespace weft::fuzz
