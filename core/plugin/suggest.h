// "did you mean": the nearest of some words to one that was mistyped.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace weft {

// The candidate at the smallest edit distance (insert, delete, replace, swap of neighbours), the first of
// equals; empty when even that is farther than a third of the word's length, but always within 1. Pure; any
// thread.
std::string nearest(std::string_view word, std::span<const std::string> candidates);
// "; did you mean 'tensor'?", or nothing.
std::string did_you_mean(std::string_view word, std::span<const std::string> candidates);

}  // namespace weft
