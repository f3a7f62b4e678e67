// What is refused before anything is written. All errors are invalid_argument.
#pragma once

#include "tests/conformance/mutants/device/parts.h"

namespace weft::mutant {

Status check_stream(Stream stream);
Status check_embed(const EmbedArgs& args);
Status check_norm(const NormArgs& args);
Status check_linear(const LinearArgs& args);
Status check_gather(const TensorView& in, Buffer rows, const TensorView& out);
Status check_argmax(const TensorView& logits, Buffer ids, Buffer values);
Status check_rope(const RopeArgs& args);
Status check_attention(const AttentionArgs& args);

inline const Matrix& matrix_of(const Weight* weight) { return *static_cast<const Matrix*>(weight); }
inline std::int32_t index_at(Buffer indices, std::int64_t at) { return indices.as<const std::int32_t>()[at]; }

}  // namespace weft::mutant
