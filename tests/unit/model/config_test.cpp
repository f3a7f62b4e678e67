#include <gtest/gtest.h>

#include <string>

#include "engine/model/decoder_spec.h"
#include "engine/model/model_config.h"
#include "engine/model/runner_spec.h"
#include "tests/support/safetensors_writer.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/model/tiny_model.h"

namespace weft::engine {
namespace {

using nlohmann::json;
using test::TemporaryDirectory;
using test::tiny_config;

ModelConfig parsed(const json& config, const json* generation = nullptr) {
  const auto result = parse_model_config(config, generation);
  EXPECT_TRUE(result) << result.error().message;
  return result ? *result : ModelConfig{};
}

void expect_refused(const json& config, const std::string& part, ErrorCode code = ErrorCode::invalid_argument) {
  const auto result = parse_model_config(config, nullptr);
  ASSERT_FALSE(result) << part;
  EXPECT_EQ(result.error().message.rfind("model: config.json: ", 0), 0u) << result.error().message;
  EXPECT_NE(result.error().message.find(part), std::string::npos) << result.error().message;
  EXPECT_EQ(result.error().code, code);
}

// All that is said of a config: nothing before, between or behind.
void expect_told(const json& config, const std::string& problems) {
  const auto result = parse_model_config(config, nullptr);
  ASSERT_FALSE(result) << problems;
  EXPECT_EQ(result.error().message, "model: config.json: " + problems);
}

json without(json config, const char* key) {
  config.erase(key);
  return config;
}

TEST(ModelConfig, ReadsTheSizesOfALlama) {
  const ModelConfig config = parsed(tiny_config());
  EXPECT_EQ(config.shape.architecture, "LlamaForCausalLM");
  EXPECT_EQ(config.shape.hidden, 20);
  EXPECT_EQ(config.shape.intermediate, 17);
  EXPECT_EQ(config.shape.layers, 3);
  EXPECT_EQ(config.shape.query_heads, 6);
  EXPECT_EQ(config.shape.kv_heads, 3);
  EXPECT_EQ(config.shape.head_dim, 8);
  EXPECT_EQ(config.shape.vocabulary, 31);
  EXPECT_EQ(config.shape.max_context, 64);
  EXPECT_EQ(config.shape.dtype, DType::f32);
  EXPECT_FALSE(config.shape.tied_embeddings);
  EXPECT_EQ(config.end_ids, (std::vector<TokenId>{2}));
  EXPECT_EQ(config.bos_id, 1);
}

TEST(ModelConfig, BothLayoutsOfTransformersSayTheSame) {
  json scaling = {{"rope_type", "llama3"},
                  {"factor", 8.0},
                  {"low_freq_factor", 1.0},
                  {"high_freq_factor", 4.0},
                  {"original_max_position_embeddings", 32}};
  json four =
      without(without(tiny_config({{"torch_dtype", "bfloat16"}, {"rope_theta", 5e5}}), "rope_parameters"), "dtype");
  four["rope_scaling"] = scaling;
  scaling["rope_theta"] = 5e5;
  const json five = tiny_config({{"dtype", "bfloat16"}, {"rope_parameters", scaling}});
  for (const json& layout : {four, five}) {
    const ModelConfig config = parsed(layout);
    EXPECT_EQ(config.shape.dtype, DType::bf16);
    ASSERT_EQ(config.decoder.ropes.size(), 1u);
    const RopeSpec& rope = config.decoder.ropes[0];
    EXPECT_EQ(rope.theta, 5e5);
    EXPECT_EQ(rope.scaling, RopeSpec::Scaling::llama3);
    EXPECT_EQ(rope.factor, 8);
    EXPECT_EQ(rope.original_context, 32);
    EXPECT_EQ(rope.dimensions, 8);
  }
  four["rope_scaling"] = nullptr;
  EXPECT_EQ(parsed(four).decoder.ropes[0].scaling, RopeSpec::Scaling::none);
}

TEST(ModelConfig, MissingHeadSizesFollowFromTheOthers) {
  json config = without(tiny_config({{"hidden_size", 24}, {"num_key_value_heads", nullptr}}), "head_dim");
  EXPECT_EQ(parsed(config).shape.head_dim, 4);
  EXPECT_EQ(parsed(config).shape.kv_heads, 6);
  config["hidden_size"] = 25;
  expect_refused(config, "'hidden_size' is 25, expected a multiple of num_attention_heads, 6 (there is no head_dim)");
}

TEST(ModelConfig, EndIdsAreThoseOfBothFilesTogether) {
  const json generation = {{"eos_token_id", {5, 2}}, {"do_sample", true},        {"temperature", 0.7}, {"top_k", 20},
                           {"top_p", 0.9},           {"repetition_penalty", 1.1}};
  const ModelConfig config = parsed(tiny_config({{"eos_token_id", {7, 2}}, {"bos_token_id", nullptr}}), &generation);
  EXPECT_EQ(config.end_ids, (std::vector<TokenId>{2, 5, 7}));
  EXPECT_FALSE(config.bos_id);
  EXPECT_EQ(config.generation.do_sample, true);
  EXPECT_EQ(config.generation.temperature, 0.7);
  EXPECT_EQ(config.generation.top_k, 20);
  EXPECT_EQ(config.generation.top_p, 0.9);
  EXPECT_EQ(config.generation.repetition_penalty, 1.1);
  EXPECT_FALSE(config.generation.min_p);
}

TEST(ModelConfig, WrongGenerationDefaultsAreNamedWithTheirFile) {
  for (const json& generation :
       {json{{"temperature", -1}}, json{{"top_p", 2}}, json{{"top_p", 0}}, json{{"top_k", 1.5}},
        json{{"do_sample", "yes"}}, json{{"eos_token_id", 31}}, json{{"eos_token_id", {-1}}}}) {
    const auto result = parse_model_config(tiny_config(), &generation);
    ASSERT_FALSE(result) << generation.dump();
    EXPECT_EQ(result.error().message.rfind("model: generation_config.json: '", 0), 0u) << result.error().message;
  }
}

TEST(ModelConfig, SizesThatCannotBeNameKeyFoundAndExpected) {
  expect_refused(without(tiny_config(), "hidden_size"), "'hidden_size' is missing, expected a whole number from 1 to");
  expect_refused(tiny_config({{"hidden_size", nullptr}}), "'hidden_size' is null, expected a whole number");
  expect_refused(tiny_config({{"hidden_size", -4}}), "'hidden_size' is -4, expected");
  expect_refused(tiny_config({{"num_hidden_layers", 0}}), "'num_hidden_layers' is 0, expected");
  expect_refused(tiny_config({{"vocab_size", 1e18}}), "'vocab_size' is 1e+18, expected");
  expect_refused(tiny_config({{"vocab_size", 18446744073709551615u}}),
                 "'vocab_size' is 18446744073709551615, expected");
  expect_refused(tiny_config({{"max_position_embeddings", 1}}),
                 "'max_position_embeddings' is 1, expected a whole number from 2 to");
  expect_refused(tiny_config({{"head_dim", "eight"}}), "'head_dim' is 'eight', expected");
  expect_refused(tiny_config({{"intermediate_size", {1, 2}}}), "'intermediate_size' is a list, expected");
  expect_refused(tiny_config({{"num_key_value_heads", 4}}), "'num_attention_heads' is 6, expected a multiple of");
  expect_refused(tiny_config({{"rms_norm_eps", "small"}}), "'rms_norm_eps' is 'small', expected a number");
  expect_refused(tiny_config({{"attention_bias", 1}}), "'attention_bias' is 1, expected true or false");
  expect_refused(tiny_config({{"dtype", "int8"}}), "'dtype' is 'int8', expected float32, float16 or bfloat16");
  expect_refused(tiny_config({{"hidden_act", "relu"}}), "'hidden_act' is 'relu', expected silu");
  expect_refused(tiny_config({{"eos_token_id", 31}}), "'eos_token_id' is 31, expected ids below the vocabulary's 31");
  expect_refused(tiny_config({{"bos_token_id", "x"}}), "'bos_token_id' is 'x'");
  expect_refused(tiny_config({{"quantization_config", {{"bits", 4}}}}),
                 "quantised checkpoints are not in this version");
}

TEST(ModelConfig, EveryProblemIsNamedAtOnce) {
  expect_refused(tiny_config({{"hidden_size", 0}, {"vocab_size", -1}}), "; 'vocab_size' is -1");
}

TEST(ModelConfig, AValueThatWasRefusedMakesNoFurtherErrors) {
  expect_told(tiny_config({{"vocab_size", nullptr}, {"eos_token_id", {5, 7}}, {"bos_token_id", 9}}),
              "'vocab_size' is null, expected a whole number from 1 to 16777216");
  expect_told(tiny_config({{"head_dim", 0}}), "'head_dim' is 0, expected a whole number from 1 to 4096");
  for (const json& wrong : {json(nullptr), json(-1)}) {
    const std::string told = "'num_attention_heads' is " + wrong.dump() + ", expected a whole number from 1 to 16384";
    expect_told(tiny_config({{"num_attention_heads", wrong}}), told);
    expect_told(without(tiny_config({{"num_attention_heads", wrong}, {"num_key_value_heads", nullptr}}), "head_dim"),
                told);
  }
  expect_told(without(tiny_config({{"hidden_size", "x"}}), "head_dim"),
              "'hidden_size' is 'x', expected a whole number from 1 to 1048576");
  expect_told(without(tiny_config({{"hidden_size", 4}}), "head_dim"),
              "'hidden_size' is 4, expected a multiple of num_attention_heads, 6 (there is no head_dim)");
  expect_told(tiny_config({{"architectures", {"MixtralForCausalLM"}}, {"num_local_experts", 0}}),
              "'num_local_experts' is 0, expected a whole number from 1 to 4096");
  expect_told(tiny_config({{"architectures", {"Qwen2ForCausalLM"}},
                           {"num_hidden_layers", 0},
                           {"layer_types", {"full_attention", "full_attention"}}}),
              "'num_hidden_layers' is 0, expected a whole number from 1 to 4096");
  expect_told(tiny_config({{"rope_parameters", {{"rope_type", "llama3"}}}}),
              "rope_parameters: 'factor' is missing, expected a number from 1 to 1000000; rope_parameters: "
              "'low_freq_factor' is missing, expected a number from 0.001 to 1000000; rope_parameters: "
              "'high_freq_factor' is missing, expected a number from 0.001 to 1000000");
}

TEST(ModelConfig, AKeyThatIsReadTwiceIsToldOnce) {
  const auto told = [](const char* architecture, const char* key) {
    json config = tiny_config({{"architectures", {architecture}}, {"rope_parameters", nullptr}, {key, "x"}});
    const auto result = parse_model_config(config, nullptr);
    EXPECT_FALSE(result);
    return result ? std::string() : result.error().message;
  };
  EXPECT_EQ(told("Gemma3ForCausalLM", "partial_rotary_factor"),
            "model: config.json: 'partial_rotary_factor' is 'x', expected a number from 0 to 1");
  EXPECT_EQ(told("Qwen3MoeForCausalLM", "use_sliding_window"),
            "model: config.json: 'use_sliding_window' is 'x', expected true or false");
}

TEST(ModelConfig, NullIsRefusedWhereTransformersHasNoMeaningForIt) {
  const auto refused = [](const char* architecture, const char* key, const char* expected) {
    expect_refused(tiny_config({{"architectures", {architecture}}, {key, nullptr}}),
                   std::string("'") + key + "' is null, expected " + expected);
  };
  const char* llama = "LlamaForCausalLM";
  refused(llama, "rms_norm_eps", "a number from 0 to 1 (without the key: 1e-06)");
  refused(llama, "hidden_act", "silu, gelu or gelu_pytorch_tanh");
  refused("MixtralForCausalLM", "num_experts_per_tok", "a whole number from 1 to 4096 (without the key: 2)");
  refused("MixtralForCausalLM", "num_local_experts", "a whole number");
  refused("Qwen3MoeForCausalLM", "num_experts", "a whole number");
  refused("Qwen3MoeForCausalLM", "num_local_experts", "a whole number");
  refused("Qwen3MoeForCausalLM", "moe_intermediate_size", "a whole number");
  refused("Qwen3ForCausalLM", "head_dim", "a whole number from 1 to 4096 (without the key: 128)");
  refused("GraniteMoeForCausalLM", "logits_scaling", "a number");
  json four = without(tiny_config({{"rope_theta", nullptr}}), "rope_parameters");
  expect_told(four, "'rope_theta' is null, expected a number from 1 to 1000000000000 (without the key: 10000)");
  json gemma = without(four, "rope_theta");
  gemma["architectures"] = {"Gemma3ForCausalLM"};
  gemma["sliding_window"] = nullptr;
  expect_told(gemma, "'sliding_window' is null, expected a whole number from 1 to 2147483647 (without the key: 4096)");
  json scaling = {{"rope_type", "llama3"}, {"factor", 8.0}, {"low_freq_factor", 1.0}, {"high_freq_factor", 4.0}};
  EXPECT_EQ(parsed(tiny_config({{"rope_parameters", scaling}})).decoder.ropes[0].original_context, 64);
  scaling["original_max_position_embeddings"] = nullptr;
  expect_refused(tiny_config({{"rope_parameters", scaling}}),
                 "rope_parameters: 'original_max_position_embeddings' is null, expected a whole number");
}

TEST(ModelConfig, NullMeansWhatTransformersTakesItFor) {
  const json nulls = {{"head_dim", nullptr},
                      {"num_key_value_heads", nullptr},
                      {"rope_parameters", nullptr},
                      {"rope_scaling", nullptr},
                      {"dtype", nullptr},
                      {"eos_token_id", nullptr},
                      {"bos_token_id", nullptr},
                      {"quantization_config", nullptr},
                      {"tie_word_embeddings", nullptr},
                      {"attention_bias", nullptr},
                      {"hidden_size", 24}};
  const ModelConfig config = parsed(tiny_config(nulls));
  EXPECT_EQ(config.shape.head_dim, 4);
  EXPECT_EQ(config.shape.kv_heads, 6);
  EXPECT_EQ(config.decoder.ropes[0].theta, 10000);
  EXPECT_FALSE(config.decoder.qkv_bias);
  const json gemma = {{"architectures", {"Gemma3ForCausalLM"}},
                      {"rope_parameters", nullptr},
                      {"final_logit_softcapping", nullptr},
                      {"tie_word_embeddings", nullptr}};
  EXPECT_EQ(parsed(tiny_config(gemma)).decoder.logit_soft_cap, 0);
  EXPECT_FALSE(parsed(tiny_config(gemma)).shape.tied_embeddings) << "false in Python, unlike a missing key";
}

TEST(ModelConfig, AScalingWithoutItsTypeIsRefused) {
  const json layout = without(tiny_config(), "rope_parameters");
  const auto scaled = [&](const json& value) {
    json config = layout;
    config["rope_scaling"] = value;
    return config;
  };
  expect_told(scaled({{"factor", 4.0}}),
              "rope_scaling: neither 'rope_type' nor 'type' says what 'factor' is for, expected one of them: default, "
              "linear or llama3");
  expect_refused(tiny_config({{"rope_parameters", {{"rope_theta", 1e4}, {"factor", 4.0}}}}),
                 "rope_parameters: neither 'rope_type' nor 'type'");
  expect_told(scaled({{"type", nullptr}}), "rope_scaling: 'type' is null, expected default, linear or llama3");
  EXPECT_EQ(parsed(scaled({{"type", "linear"}, {"factor", 4.0}})).decoder.ropes[0].factor, 4);
  EXPECT_EQ(parsed(tiny_config({{"rope_parameters", {{"rope_theta", 5e5}}}})).decoder.ropes[0].theta, 5e5);
}

TEST(ModelConfig, WrongLayerTypesSayWhichAndHowMany) {
  const auto types = [](const json& value) {
    return tiny_config({{"architectures", {"Qwen2ForCausalLM"}}, {"layer_types", value}});
  };
  expect_told(types({"full_attention", "chunked_attention", "mamba"}),
              "'layer_types[1]' is 'chunked_attention', expected full_attention or sliding_attention");
  expect_told(types({"full_attention"}), "'layer_types' has 1 entries, expected one a layer, 3");
  expect_told(
      types("full_attention"),
      "'layer_types' is 'full_attention', expected a list with full_attention or sliding_attention for each layer");
}

TEST(ModelConfig, WrongRopesAreNamed) {
  const auto rope = [](const json& value) { return tiny_config({{"rope_parameters", value}}); };
  expect_refused(rope({{"rope_type", "yarn"}}),
                 "rope_parameters: 'rope_type' is 'yarn', expected default, linear or llama3");
  expect_refused(rope({{"rope_type", "linear"}}), "rope_parameters: 'factor' is missing");
  expect_refused(rope({{"rope_theta", 0}}), "rope_parameters: 'rope_theta' is 0");
  expect_refused(rope({{"partial_rotary_factor", 0.4}}), "rope turns 3 of a head's 8 elements");
  expect_refused(rope({{"full_attention", {{"rope_theta", 1.0}}}}), "one rope for all layers");
  expect_refused(rope("default"), "'rope_parameters' is 'default', expected an object");
}

TEST(ModelConfig, AnUnknownArchitectureListsTheKnown) {
  expect_refused(
      tiny_config({{"architectures", {"MambaForCausalLM"}}}),
      "unknown architecture 'MambaForCausalLM'; this version knows Gemma3ForCausalLM, GraniteMoeForCausalLM, "
      "LlamaForCausalLM, MistralForCausalLM, MixtralForCausalLM, Olmo2ForCausalLM, Phi3ForCausalLM, "
      "Qwen2ForCausalLM, Qwen3ForCausalLM, Qwen3MoeForCausalLM",
      ErrorCode::unimplemented);
  const auto told = [](const json& value, const std::string& found) {
    expect_refused(tiny_config({{"architectures", value}}), found + ", expected a");
  };
  expect_refused(without(tiny_config(), "architectures"), "'architectures' is missing, expected a list with one of");
  told(nullptr, "'architectures' is null");
  told(json::array(), "'architectures' is an empty list");
  told("LlamaForCausalLM", "'architectures' is 'LlamaForCausalLM'");
  told(json::array({3}), "'architectures[0]' is 3");
}

TEST(ModelConfig, AbsentAndNullWindowsOfMistralDiffer) {
  const auto window = [](const json& changes) { return parsed(tiny_config(changes)).decoder.layers[2].window; };
  EXPECT_EQ(window({{"architectures", {"MistralForCausalLM"}}}), 4096);
  EXPECT_EQ(window({{"architectures", {"MistralForCausalLM"}}, {"sliding_window", nullptr}}), 0);
  EXPECT_EQ(window({{"architectures", {"MistralForCausalLM"}}, {"sliding_window", 16}}), 16);
  EXPECT_EQ(window({{"architectures", {"Qwen2ForCausalLM"}}, {"sliding_window", 16}}), 0);
  expect_refused(tiny_config({{"architectures", {"Qwen2ForCausalLM"}}, {"layer_types", {"full_attention"}}}),
                 "'layer_types' has 1 entries, expected one a layer, 3");
}

TEST(ModelConfig, ExpertsAreReadFromBothLayouts) {
  const auto qwen = [](const json& changes) {
    json config = tiny_config({{"architectures", {"Qwen3MoeForCausalLM"}}, {"moe_intermediate_size", 11}});
    config.update(changes);
    return config;
  };
  for (const char* key : {"num_experts", "num_local_experts"}) {
    const ModelConfig config = parsed(qwen({{key, 6}, {"num_experts_per_tok", 2}, {"norm_topk_prob", true}}));
    EXPECT_EQ(config.shape.experts, 6);
    EXPECT_EQ(config.shape.experts_per_token, 2);
    EXPECT_EQ(config.shape.intermediate, 11);
    EXPECT_EQ(config.decoder.experts->dense_intermediate, 0) << "no layer is without experts";
    EXPECT_TRUE(config.decoder.experts->normalize);
  }
  const ModelConfig mixed = parsed(qwen({{"num_experts", 8}, {"decoder_sparse_step", 2}, {"mlp_only_layers", {1}}}));
  EXPECT_EQ(mixed.decoder.experts->dense_intermediate, 17);
  EXPECT_FALSE(mixed.decoder.experts->normalize) << "transformers' default";
  for (const LayerSpec& layer : mixed.decoder.layers)
    EXPECT_FALSE(layer.experts) << "the one that every second step would give one is listed";
  const ModelConfig slides = parsed(qwen({{"num_experts", 8}, {"use_sliding_window", true}, {"sliding_window", 5}}));
  EXPECT_EQ(slides.decoder.layers[0].window, 5) << "whatever max_window_layers says";
}

TEST(ModelConfig, Gemma3CapsItsLogitsButNotItsAttention) {
  const ModelConfig config = parsed(tiny_config({{"architectures", {"Gemma3ForCausalLM"}},
                                                 {"rope_parameters", nullptr},
                                                 {"attn_logit_softcapping", 3.0},
                                                 {"final_logit_softcapping", 5.0}}));
  EXPECT_EQ(config.decoder.attention_soft_cap, 0) << "as in transformers";
  EXPECT_EQ(config.decoder.logit_soft_cap, 5);
}

TEST(ModelConfig, ExpertsThatCannotBeAreNamed) {
  const auto mixtral = [](const json& changes) {
    json config = tiny_config({{"architectures", {"MixtralForCausalLM"}}});
    config.update(changes);
    return config;
  };
  expect_refused(mixtral({{"num_local_experts", 0}}), "'num_local_experts' is 0, expected a whole number from 1 to");
  expect_refused(mixtral({{"num_local_experts", 4}, {"num_experts_per_tok", 5}}),
                 "'num_experts_per_tok' is 5, expected at most the number of experts, 4");
  expect_refused(mixtral({{"num_local_experts", 4096}, {"num_hidden_layers", 4096}}),
                 "at most 131072 experts in all layers together");
  EXPECT_EQ(parsed(mixtral({{"sliding_window", nullptr}})).decoder.layers[0].window, 0);
  const ModelConfig config = parsed(mixtral({{"num_local_experts", 2}, {"intermediate_size", 4}}));
  EXPECT_FALSE(estimate_memory(config, {.model_directory = "", .position = {.tp_size = 6}}, 1024))
      << "more ranks than columns";
}

TEST(DecoderSpec, WhatTheForwardPassLacksIsNamedAndNothingIsIgnored) {
  const DecoderSpec known = parsed(tiny_config()).decoder;
  EXPECT_TRUE(unsupported_features(known).empty());
  const auto lacks = [&](auto change) {
    DecoderSpec spec = known;
    change(spec);
    return unsupported_features(spec).size() == 1;
  };
  EXPECT_TRUE(lacks([](DecoderSpec& spec) { spec.experts = ExpertsSpec{.shared_intermediate = 4}; }));
  EXPECT_TRUE(lacks([](DecoderSpec& spec) {
    spec.experts = ExpertsSpec{};
    spec.mlp_bias = true;
  }));
  EXPECT_TRUE(lacks([](DecoderSpec& spec) { spec.norm.kind = NormKind::layer; }));
  EXPECT_TRUE(lacks([](DecoderSpec& spec) { spec.names.attention_norm.clear(); }));
  EXPECT_TRUE(lacks([](DecoderSpec& spec) { spec.gated_mlp = false; }));
  EXPECT_TRUE(lacks([](DecoderSpec& spec) {
    spec.residual_scale = 0.5;
    spec.names.mlp_post_norm = "n";
  }));
}

TEST(ModelDirectory, AConfigThatDisagreesWithTheTensorsNamesBothShapes) {
  const TemporaryDirectory directory;
  write_tiny_model(directory, tiny_config());
  ASSERT_TRUE(read_model_config(directory.path()));
  directory.write("config.json", tiny_config({{"intermediate_size", 18}}).dump());
  const auto wrong = read_model_config(directory.path());
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message.find("weights: model.safetensors: tensor 'model.layers.0.mlp.down_proj.weight': "
                                       "shape [20, 17], expected [20, 18]"),
            std::string::npos)
      << wrong.error().message;
  EXPECT_NE(wrong.error().message.find("... and 4 more like it"), std::string::npos) << wrong.error().message;
}

TEST(ModelDirectory, MissingAndExtraTensorsAreNamed) {
  const TemporaryDirectory directory;
  write_tiny_model(directory, tiny_config({{"attention_bias", true}, {"num_hidden_layers", 1}}));
  directory.write("config.json", tiny_config({{"num_hidden_layers", 1}}).dump());
  const auto extra = read_model_config(directory.path());
  ASSERT_FALSE(extra);
  EXPECT_NE(extra.error().message.find("tensor 'model.layers.0.self_attn.k_proj.bias' of shape [24] is not part of"),
            std::string::npos)
      << extra.error().message;
  directory.write("config.json", tiny_config({{"num_hidden_layers", 2}, {"attention_bias", true}}).dump());
  const auto missing = read_model_config(directory.path());
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("tensor 'model.layers.1.input_layernorm.weight' of shape [20] is missing"),
            std::string::npos)
      << missing.error().message;
}

TEST(ModelDirectory, ATiedModelMayCarryAHeadThatIsNotRead) {
  const TemporaryDirectory directory;
  write_tiny_model(directory, tiny_config());
  directory.write("config.json", tiny_config({{"tie_word_embeddings", true}}).dump());
  const auto tied = read_model_config(directory.path());
  EXPECT_TRUE(tied) << tied.error().message;
}

TEST(ModelDirectory, MissingOrDamagedConfigsAreNamed) {
  const TemporaryDirectory directory;
  const auto missing = read_model_config(directory.path());
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
  EXPECT_NE(missing.error().message.find("config.json: No such file"), std::string::npos) << missing.error().message;
  write_tiny_model(directory, tiny_config());
  directory.write("generation_config.json", "{");
  const auto damaged = read_model_config(directory.path());
  ASSERT_FALSE(damaged);
  EXPECT_NE(damaged.error().message.find("model: generation_config.json: not valid JSON"), std::string::npos);
}

TEST(ModelDirectory, NoTruncationOfConfigCrashes) {
  const std::string whole = tiny_config().dump();
  const TemporaryDirectory directory;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    directory.write("config.json", whole.substr(0, size));
    EXPECT_FALSE(read_model_config(directory.path())) << size;
  }
}

}  // namespace
}  // namespace weft::engine
