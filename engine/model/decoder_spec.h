// DecoderSpec: what a decoder-only transformer is, in values. A family's file fills it from config.json;
// loading and the forward pass read nothing else, so that a new family is a new file and not a branch.
//
// It can say more than the forward pass does (layer norms, shared experts, an MLP without a gate):
// unsupported_features() names what is missing, and loading refuses it. Nothing in a spec is ever ignored.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "weft/device.h"

namespace weft::engine {

enum class NormKind : std::uint8_t { rms, layer };

struct NormSpec {
  NormKind kind = NormKind::rms;
  double epsilon = 1e-5;
  double weight_offset = 0;  // added to each weight (Gemma: 1)
};

// Rotary embedding (Su et al., "RoFormer", arXiv 2104.09864), pairs (i, i + dimensions / 2).
struct RopeSpec {
  enum class Scaling : std::uint8_t { none, linear, llama3 };
  double theta = 10000;
  std::int32_t dimensions = 0;  // first elements of a head that turn; at most head_dim
  Scaling scaling = Scaling::none;
  double factor = 1;                  // linear, llama3
  double low_frequency_factor = 1;    // llama3
  double high_frequency_factor = 4;   // llama3
  std::int32_t original_context = 0;  // llama3, tokens
};

enum class QkNorm : std::uint8_t {
  none,
  head,  // each head by itself, one weight of head_dim for all
  full,  // all heads of a token together (OLMo 2)
};

struct LayerSpec {
  std::int32_t rope = 0;    // index into DecoderSpec::ropes; -1: positions are not encoded
  std::int32_t window = 0;  // positions a row sees, itself included; 0: all before it
  bool experts = false;     // the MLP is DecoderSpec::experts
};

// A matrix's rows in the checkpoint. "{}" in the name stands for the layer's number, "{e}" for the expert's.
struct MatrixSource {
  std::string tensor;
  std::int64_t first_row = 0;    // a fused tensor holds several matrices one below the other
  std::int64_t tensor_rows = 0;  // of the fused tensor; 0: the tensor is this matrix
  bool stacked = false;          // experts lie along a first dimension of the tensor
};

// Experts in place of an MLP: ModelShape::experts of them, each of ModelShape::intermediate columns. A token takes those
// experts_per_token whose router logits are the largest, and adds their results by their shares.
struct ExpertsSpec {
  std::int32_t dense_intermediate = 0;   // columns of the MLP in layers without experts; 0: there is no such layer
  std::int32_t shared_intermediate = 0;  // of an expert that every token takes; 0: none
  bool normalize = true;                 // shares are a softmax over the chosen ones' logits; else over all
  MatrixSource router, gate, up, down;
};

// Empty: the decoder has no such tensor.
struct TensorNames {
  std::string embedding, final_norm, head;
  std::string attention_norm, attention_post_norm{}, mlp_norm, mlp_post_norm{}, query_norm{}, key_norm{};
  MatrixSource query, key, value, output, gate, up, down;
  std::vector<std::string> ignored;  // tensors that may be in the checkpoint and are not read
};

struct DecoderSpec {
  NormSpec norm;  // of the residual stream, and of queries and keys
  QkNorm qk_norm = QkNorm::none;
  std::vector<RopeSpec> ropes;
  std::vector<LayerSpec> layers;  // one a layer

  bool qkv_bias = false;
  bool output_bias = false;
  bool mlp_bias = false;
  Activation activation = Activation::silu;
  bool gated_mlp = true;  // down(activation(gate(x)) * up(x)); else down(activation(up(x)))

  double embedding_scale = 1;     // of looked-up rows
  double residual_scale = 1;      // of each branch, as it is added to the residual stream; folded into its last matrix
  double attention_scale = 1;     // of q . k; most often 1 / sqrt(head_dim)
  double attention_soft_cap = 0;  // c: s -> c tanh(s / c); 0: none
  double logit_scale = 1;
  double logit_soft_cap = 0;

  std::optional<ExpertsSpec> experts;
  TensorNames names;
};

// What this version's forward pass cannot do, in words for a human ("layer norm"); empty: nothing.
std::vector<std::string> unsupported_features(const DecoderSpec& spec);

}  // namespace weft::engine
