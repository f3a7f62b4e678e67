// Operations on rows, for checked arguments. Shapes are device.h's.
#pragma once

#include "kernels/reference/storage.h"

namespace weft {

double activate(Activation activation, double x) noexcept;

void reference_embed(const EmbedArgs& args, const ReferenceWeight& table);
void reference_rms_norm(const NormArgs& args, const ReferenceWeight& weight);
void reference_linear(const LinearArgs& args, const ReferenceWeight& weight);
void reference_gather(const TensorView& in, const Buffer& rows, const TensorView& out);
void reference_argmax(const TensorView& logits, const Buffer& ids, const Buffer& values);

// x[i] * w[i] / sqrt(mean(x^2) + epsilon), w the weight and its offset (Zhang and Sennrich 2019, eq. 4). In
// place.
void normalise(std::span<double> x, const float* weight, double weight_offset, double epsilon) noexcept;

}  // namespace weft
