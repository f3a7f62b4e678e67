// Operations on rows; the arguments have been checked.
#pragma once

#include "tests/conformance/mutants/device/parts.h"

namespace weft::mutant {

void embed(const EmbedArgs& args);
void rms_norm(const NormArgs& args);
void linear(const LinearArgs& args);
void gather(const TensorView& in, Buffer rows, const TensorView& out);
void argmax(const TensorView& logits, Buffer ids, Buffer values);

// x to x / sqrt(mean(x^2) + epsilon) * (weight + offset).
void normalise(std::vector<double>& x, const Matrix& weight, double epsilon, double offset);
// One in the last place of an f32, of which every bound allows some.
double a_little_more(double value);

}  // namespace weft::mutant
