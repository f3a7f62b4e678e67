// Prints what a plugin that is already compiled takes for granted of the SDK, a line each: "KIND<tab>FACT". Built twice,
// from the frozen copy and from today's headers; previous_test.cpp compares.
#include <weft/communicator.h>
#include <weft/device.h>
#include <weft/executor.h>
#include <weft/load_balancer.h>
#include <weft/plugin.h>

#include <cstddef>
#include <cstdio>
#include <cstring>
#include <typeinfo>

// Structs with strings and vectors are not "standard layout", and both compilers lay them out as they do those.
#pragma GCC diagnostic ignored "-Winvalid-offsetof"

namespace {

const char* kind = "";

void fact(const std::string& text) { std::printf("%s\t%s\n", kind, text.c_str()); }

// The place of a virtual function in its class's table: the first word of a pointer to it is its offset there (Itanium C++
// ABI 2.3), with a 1 added on some machines.
template <class Member>
std::string slot_of(Member member) {
  std::uintptr_t word = 0;
  static_assert(sizeof member >= sizeof word);
  std::memcpy(&word, &member, sizeof word);
  return std::to_string(word / sizeof(void*));
}

// How many fields a struct has: how many initialisers it takes. A field that fits into padding changes no size.
struct Any {
  template <class T>
  operator T() const;  // never defined: only asked about
};
template <class T, class... Fields>
constexpr std::size_t fields_of() {
  if constexpr (requires { T{std::declval<Fields>()..., std::declval<Any>()}; })
    return fields_of<T, Fields..., Any>();
  else
    return sizeof...(Fields);
}

template <class T>
void type(const char* name) {
  fact(std::string(name) + ": " + std::to_string(sizeof(T)) + " bytes, aligned to " + std::to_string(alignof(T)));
}

template <class T>
void aggregate(const char* name, std::size_t fields) {
  type<T>(name);
  if (fields_of<T>() != fields)
    fact(std::string(name) + ": has " + std::to_string(fields_of<T>()) + " fields; layout.cpp lists " +
         std::to_string(fields));
}

template <class Interface>
void interface(const char* name) {
  struct Behind : Interface {
    virtual void behind_the_last() = 0;
  };
  type<Interface>(name);
  fact(std::string(name) + ": its table has " + slot_of(&Behind::behind_the_last) + " entries");
}

#define FIELD(Type, field)                                                                          \
  fact(std::string(#Type "::" #field " at ") + std::to_string(offsetof(weft::Type, field)) + ", " + \
       std::to_string(sizeof(weft::Type::field)) + " bytes, type " + typeid(decltype(weft::Type::field)).name())
#define VIRTUAL(Type, method)                                                                    \
  fact(std::string(#Type "::" #method " is entry ") + slot_of(&weft::Type::method) + ", type " + \
       typeid(&weft::Type::method).name())
#define VALUE(value) fact(std::string(#value " = ") + std::to_string(static_cast<long long>(weft::value)))

void of_all_kinds() {
  kind = "abi";
  std::printf("version\tabi %u\n", weft::plugin_abi_version);
  VALUE(plugin_magic);
  fact(std::string("symbol ") + weft::plugin_symbol);
  fact(std::string("fingerprint ") + WEFT_FINGERPRINT);
  type<weft::weft_plugin_descriptor>("descriptor");
  FIELD(weft_plugin_descriptor, struct_size);
  FIELD(weft_plugin_descriptor, magic);
  FIELD(weft_plugin_descriptor, abi_version);
  FIELD(weft_plugin_descriptor, interface_version);
  FIELD(weft_plugin_descriptor, kind);
  FIELD(weft_plugin_descriptor, name);
  FIELD(weft_plugin_descriptor, version);
  FIELD(weft_plugin_descriptor, summary);
  FIELD(weft_plugin_descriptor, fingerprint);
  FIELD(weft_plugin_descriptor, runtime);
  FIELD(weft_plugin_descriptor, capabilities);
  FIELD(weft_plugin_descriptor, capability_count);
  FIELD(weft_plugin_descriptor, options);
  FIELD(weft_plugin_descriptor, option_count);
  FIELD(weft_plugin_descriptor, probe);
  FIELD(weft_plugin_descriptor, create);
  FIELD(weft_plugin_descriptor, destroy);
  aggregate<weft::OptionSpec>("OptionSpec", 5);
  FIELD(OptionSpec, key);
  FIELD(OptionSpec, type);
  FIELD(OptionSpec, default_value);
  FIELD(OptionSpec, range);
  FIELD(OptionSpec, help);
  VALUE(OptionSpec::Type::boolean);
  VALUE(OptionSpec::Type::integer);
  VALUE(OptionSpec::Type::number);
  VALUE(OptionSpec::Type::string);
  VALUE(OptionSpec::Type::duration);
  VALUE(OptionSpec::Type::bytes);
  VALUE(OptionSpec::Type::string_list);
  type<weft::OptionValue>("OptionValue");
  fact(std::string("OptionValue is ") + typeid(weft::OptionValue).name());
  aggregate<weft::PluginOptions>("PluginOptions", 1);
  FIELD(PluginOptions, values);
}

void of_values() {
  aggregate<weft::Error>("Error", 3);
  FIELD(Error, code);
  FIELD(Error, message);
  FIELD(Error, retryable);
  VALUE(ErrorCode::invalid_argument);
  VALUE(ErrorCode::not_found);
  VALUE(ErrorCode::already_exists);
  VALUE(ErrorCode::failed_precondition);
  VALUE(ErrorCode::unimplemented);
  VALUE(ErrorCode::deadline_exceeded);
  VALUE(ErrorCode::unavailable);
  VALUE(ErrorCode::aborted);
  VALUE(ErrorCode::cancelled);
  VALUE(ErrorCode::resource_exhausted);
  VALUE(ErrorCode::data_loss);
  VALUE(ErrorCode::permission_denied);
  VALUE(ErrorCode::refused);
  VALUE(ErrorCode::internal);
  type<weft::Status>("Status");
  type<weft::Result<std::string>>("Result<string>");
  fact(std::string("Time is ") + typeid(weft::Time).name() + ", Duration " + typeid(weft::Duration).name());
  type<weft::Deadline>("Deadline");
  aggregate<weft::Buffer>("Buffer", 4);
  FIELD(Buffer, data);
  FIELD(Buffer, size);
  FIELD(Buffer, kind);
  FIELD(Buffer, device);
  VALUE(MemoryKind::host);
  VALUE(MemoryKind::pinned);
  VALUE(MemoryKind::device);
  aggregate<weft::Stream>("Stream", 2);
  FIELD(Stream, kind);
  FIELD(Stream, native);
  VALUE(Stream::Kind::host);
  VALUE(Stream::Kind::cuda);
  VALUE(DType::f32);
  VALUE(DType::f16);
  VALUE(DType::bf16);
  VALUE(DType::i32);
  VALUE(DType::i64);
  VALUE(DType::u8);
}

void of_the_host() {
  interface<weft::HostServices>("HostServices");
  VIRTUAL(HostServices, log);
  VIRTUAL(HostServices, log_enabled);
  VIRTUAL(HostServices, now);
  VIRTUAL(HostServices, counter_add);
  VIRTUAL(HostServices, gauge_set);
  VIRTUAL(HostServices, observe);
  VIRTUAL(HostServices, store);
  VIRTUAL(HostServices, cpus);
  VIRTUAL(HostServices, query);
  VALUE(LogLevel::trace);
  VALUE(LogLevel::debug);
  VALUE(LogLevel::info);
  VALUE(LogLevel::warn);
  VALUE(LogLevel::error);
  interface<weft::StoreClient>("StoreClient");
  VIRTUAL(StoreClient, set);
  VIRTUAL(StoreClient, get);
  VIRTUAL(StoreClient, wait);
  VIRTUAL(StoreClient, add);
  VIRTUAL(StoreClient, compare_and_set);
  VIRTUAL(StoreClient, remove);
  VIRTUAL(StoreClient, remove_prefix);
  VIRTUAL(StoreClient, list);
}

template <class Interface>
void version() {
  kind = Interface::plugin_kind;
  std::printf("version\t%s %u\n", kind, Interface::interface_version);
}

void of_executors() {
  version<weft::Executor>();
  interface<weft::Executor>("Executor");
  VIRTUAL(Executor, inventory);
  VIRTUAL(Executor, launch);
  VIRTUAL(Executor, stop);
  VIRTUAL(Executor, close);
  VIRTUAL(Executor, query);
  interface<weft::GangSink>("GangSink");
  VIRTUAL(GangSink, on_pending);
  VIRTUAL(GangSink, on_placed);
  VIRTUAL(GangSink, on_exit);
  aggregate<weft::NodeDevice>("NodeDevice", 3);
  FIELD(NodeDevice, kind);
  FIELD(NodeDevice, index);
  FIELD(NodeDevice, memory);
  aggregate<weft::Node>("Node", 5);
  FIELD(Node, name);
  FIELD(Node, address);
  FIELD(Node, cpus);
  FIELD(Node, memory);
  FIELD(Node, devices);
  aggregate<weft::Inventory>("Inventory", 1);
  FIELD(Inventory, nodes);
  aggregate<weft::GangId>("GangId", 2);
  FIELD(GangId, id);
  FIELD(GangId, incarnation);
  aggregate<weft::RankSpec>("RankSpec", 8);
  FIELD(RankSpec, rank);
  FIELD(RankSpec, argv);
  FIELD(RankSpec, env);
  FIELD(RankSpec, node);
  FIELD(RankSpec, cpus);
  FIELD(RankSpec, devices);
  FIELD(RankSpec, memory);
  FIELD(RankSpec, log_path);
  aggregate<weft::GangSpec>("GangSpec", 3);
  FIELD(GangSpec, gang);
  FIELD(GangSpec, ranks);
  FIELD(GangSpec, die_with_head);
  aggregate<weft::Placement>("Placement", 5);
  FIELD(Placement, rank);
  FIELD(Placement, node);
  FIELD(Placement, address);
  FIELD(Placement, pid);
  FIELD(Placement, devices);
  aggregate<weft::Exit>("Exit", 3);
  FIELD(Exit, cause);
  FIELD(Exit, value);
  FIELD(Exit, detail);
  VALUE(Exit::Cause::code);
  VALUE(Exit::Cause::signal);
  VALUE(Exit::Cause::node_lost);
  VALUE(Exit::Cause::unknown);
  VALUE(Exit::Cause::never_started);
}

void of_communicators() {
  version<weft::Communicator>();
  interface<weft::Communicator>("Communicator");
  VIRTUAL(Communicator, open);
  VIRTUAL(Communicator, query);
  interface<weft::Group>("Group");
  VIRTUAL(Group, rank);
  VIRTUAL(Group, size);
  VIRTUAL(Group, allocate);
  VIRTUAL(Group, all_reduce);
  VIRTUAL(Group, all_gather);
  VIRTUAL(Group, reduce_scatter);
  VIRTUAL(Group, broadcast);
  VIRTUAL(Group, all_to_all);
  VIRTUAL(Group, all_to_all_v);
  VIRTUAL(Group, send);
  VIRTUAL(Group, recv);
  VIRTUAL(Group, barrier);
  VIRTUAL(Group, abort);
  VIRTUAL(Group, close);
  VIRTUAL(Group, query);
  VIRTUAL(Group, wait);
  VIRTUAL(Group, done);
  type<weft::Work>("Work");
  aggregate<weft::GroupSpec>("GroupSpec", 10);
  FIELD(GroupSpec, id);
  FIELD(GroupSpec, rank);
  FIELD(GroupSpec, size);
  FIELD(GroupSpec, members);
  FIELD(GroupSpec, store);
  FIELD(GroupSpec, deadline);
  FIELD(GroupSpec, operation_timeout);
  FIELD(GroupSpec, address);
  FIELD(GroupSpec, memory);
  FIELD(GroupSpec, device);
  VALUE(ReduceOp::sum);
  VALUE(ReduceOp::max);
  VALUE(ReduceOp::min);
}

void of_load_balancers() {
  version<weft::LoadBalancer>();
  interface<weft::LoadBalancer>("LoadBalancer");
  VIRTUAL(LoadBalancer, pick);
  VIRTUAL(LoadBalancer, observe);
  VIRTUAL(LoadBalancer, query);
  aggregate<weft::RequestView>("RequestView", 6);
  FIELD(RequestView, id);
  FIELD(RequestView, prompt_tokens);
  FIELD(RequestView, max_tokens);
  FIELD(RequestView, block_hashes);
  FIELD(RequestView, affinity);
  FIELD(RequestView, priority);
  aggregate<weft::ReplicaView>("ReplicaView", 9);
  FIELD(ReplicaView, id);
  FIELD(ReplicaView, incarnation);
  FIELD(ReplicaView, eligible);
  FIELD(ReplicaView, in_flight);
  FIELD(ReplicaView, capacity);
  FIELD(ReplicaView, waiting);
  FIELD(ReplicaView, running);
  FIELD(ReplicaView, kv_usage);
  FIELD(ReplicaView, stats_at);
  aggregate<weft::ReplicaTable>("ReplicaTable", 1);
  FIELD(ReplicaTable, replicas);
  aggregate<weft::Decision>("Decision", 2);
  FIELD(Decision, replica);
  FIELD(Decision, reason);
  aggregate<weft::Event>("Event", 12);
  FIELD(Event, kind);
  FIELD(Event, replica);
  FIELD(Event, incarnation);
  FIELD(Event, request);
  FIELD(Event, prompt_tokens);
  FIELD(Event, max_tokens);
  FIELD(Event, generated);
  FIELD(Event, waiting);
  FIELD(Event, running);
  FIELD(Event, pending_prefill_tokens);
  FIELD(Event, kv_usage);
  FIELD(Event, stats_sequence);
  VALUE(Event::Kind::dispatched);
  VALUE(Event::Kind::first_token);
  VALUE(Event::Kind::progress);
  VALUE(Event::Kind::finished);
  VALUE(Event::Kind::dropped);
  VALUE(Event::Kind::stats);
  VALUE(Event::Kind::joined);
  VALUE(Event::Kind::left);
}

void of_devices() {
  version<weft::Device>();
  interface<weft::Device>("Device");
  VIRTUAL(Device, info);
  VIRTUAL(Device, allocate);
  VIRTUAL(Device, release);
  VIRTUAL(Device, stream);
  VIRTUAL(Device, copy_in);
  VIRTUAL(Device, copy_out);
  VIRTUAL(Device, synchronize);
  VIRTUAL(Device, load_weight);
  VIRTUAL(Device, kv_block_bytes);
  VIRTUAL(Device, create_kv_cache);
  VIRTUAL(Device, embed);
  VIRTUAL(Device, rms_norm);
  VIRTUAL(Device, linear);
  VIRTUAL(Device, rope_and_append);
  VIRTUAL(Device, attention);
  VIRTUAL(Device, gather_rows);
  VIRTUAL(Device, argmax);
  VIRTUAL(Device, query);
  interface<weft::Weight>("Weight");
  VIRTUAL(Weight, rows);
  VIRTUAL(Weight, columns);
  VIRTUAL(Weight, bytes);
  interface<weft::KvCache>("KvCache");
  VIRTUAL(KvCache, blocks);
  VIRTUAL(KvCache, bytes);
}

void of_device_structs() {
  aggregate<weft::TensorView>("TensorView", 5);
  FIELD(TensorView, buffer);
  FIELD(TensorView, type);
  FIELD(TensorView, rows);
  FIELD(TensorView, columns);
  FIELD(TensorView, row_stride);
  VALUE(WeightUse::linear);
  VALUE(WeightUse::embedding);
  VALUE(WeightUse::vector);
  VALUE(WeightUse::table);
  aggregate<weft::WeightPart>("WeightPart", 6);
  FIELD(WeightPart, data);
  FIELD(WeightPart, type);
  FIELD(WeightPart, rows);
  FIELD(WeightPart, columns);
  FIELD(WeightPart, row_stride);
  FIELD(WeightPart, bias);
  aggregate<weft::WeightSpec>("WeightSpec", 4);
  FIELD(WeightSpec, name);
  FIELD(WeightSpec, use);
  FIELD(WeightSpec, compute);
  FIELD(WeightSpec, quantization);
  aggregate<weft::KvSpec>("KvSpec", 5);
  FIELD(KvSpec, layers);
  FIELD(KvSpec, kv_heads);
  FIELD(KvSpec, head_dim);
  FIELD(KvSpec, block_size);
  FIELD(KvSpec, type);
  aggregate<weft::PagedBatch>("PagedBatch", 8);
  FIELD(PagedBatch, tokens);
  FIELD(PagedBatch, sequences);
  FIELD(PagedBatch, max_blocks);
  FIELD(PagedBatch, positions);
  FIELD(PagedBatch, slots);
  FIELD(PagedBatch, row_starts);
  FIELD(PagedBatch, context_lengths);
  FIELD(PagedBatch, block_tables);
  aggregate<weft::EmbedArgs>("EmbedArgs", 5);
  FIELD(EmbedArgs, table);
  FIELD(EmbedArgs, ids);
  FIELD(EmbedArgs, first_row);
  FIELD(EmbedArgs, scale);
  FIELD(EmbedArgs, out);
  aggregate<weft::NormArgs>("NormArgs", 6);
  FIELD(NormArgs, weight);
  FIELD(NormArgs, epsilon);
  FIELD(NormArgs, weight_offset);
  FIELD(NormArgs, in);
  FIELD(NormArgs, residual);
  FIELD(NormArgs, out);
  VALUE(Activation::silu);
  VALUE(Activation::gelu_tanh);
  VALUE(Activation::gelu);
}

void of_device_operations() {
  aggregate<weft::LinearArgs>("LinearArgs", 5);
  FIELD(LinearArgs, weight);
  FIELD(LinearArgs, in);
  FIELD(LinearArgs, out);
  FIELD(LinearArgs, epilogue);
  FIELD(LinearArgs, activation);
  VALUE(LinearArgs::Epilogue::store);
  VALUE(LinearArgs::Epilogue::add);
  VALUE(LinearArgs::Epilogue::gate);
  aggregate<weft::RopeArgs>("RopeArgs", 13);
  FIELD(RopeArgs, qkv);
  FIELD(RopeArgs, query_heads);
  FIELD(RopeArgs, kv_heads);
  FIELD(RopeArgs, head_dim);
  FIELD(RopeArgs, table);
  FIELD(RopeArgs, rotary_dim);
  FIELD(RopeArgs, query_norm);
  FIELD(RopeArgs, key_norm);
  FIELD(RopeArgs, epsilon);
  FIELD(RopeArgs, weight_offset);
  FIELD(RopeArgs, batch);
  FIELD(RopeArgs, cache);
  FIELD(RopeArgs, layer);
  aggregate<weft::AttentionArgs>("AttentionArgs", 11);
  FIELD(AttentionArgs, qkv);
  FIELD(AttentionArgs, out);
  FIELD(AttentionArgs, query_heads);
  FIELD(AttentionArgs, kv_heads);
  FIELD(AttentionArgs, head_dim);
  FIELD(AttentionArgs, scale);
  FIELD(AttentionArgs, soft_cap);
  FIELD(AttentionArgs, window);
  FIELD(AttentionArgs, batch);
  FIELD(AttentionArgs, cache);
  FIELD(AttentionArgs, layer);
  aggregate<weft::DeviceInfo>("DeviceInfo", 6);
  FIELD(DeviceInfo, description);
  FIELD(DeviceInfo, memory);
  FIELD(DeviceInfo, index);
  FIELD(DeviceInfo, memory_total);
  FIELD(DeviceInfo, batch_invariant);
  FIELD(DeviceInfo, compute_types);
}

}  // namespace

int main() {
  of_all_kinds();
  of_values();
  of_the_host();
  of_executors();
  of_communicators();
  of_load_balancers();
  of_devices();
  of_device_structs();
  of_device_operations();
}
