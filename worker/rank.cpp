#include "worker/rank.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "worker/runner_spec.h"

namespace weft::worker {
namespace {

// The configuration's choice among what the head named; "auto" was resolved by the plan, whose names came in Assign's
// plugins, so the only plugin of the kind is meant.
Result<const LoadedPlugin*> choose(const FoundPlugins& plugins, std::string_view kind, std::string_view name) {
  if (const LoadedPlugin* found = plugins.find(kind, name)) return found;
  return fail(ErrorCode::internal, fmt::format("the head named no plugin of kind {} that is '{}'", kind, name));
}

// The user's options of a plugin, checked against its declaration once more: the worker's file may be another version.
Result<PluginOptions> options_of(const LoadedPlugin& plugin, const PluginChoice& choice, const std::string& table) {
  CheckedOptions checked = check_options(plugin.info.options, choice.options, table, choice.where);
  if (!checked.problems.empty())
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: {}", checked.problems.front().where, checked.problems.front().message));
  return std::move(checked.options);
}

std::string big_endian(std::uint64_t high, std::uint64_t low) {
  std::string bytes;
  for (const std::uint64_t half : {high, low})
    for (int shift = 56; shift >= 0; shift -= 8)
      bytes += static_cast<char>(half >> shift & 0xff);
  return bytes;
}

}  // namespace

const LoadedPlugin* FoundPlugins::find(std::string_view kind, std::string_view name) const {
  const LoadedPlugin* only = nullptr;
  for (const LoadedPlugin* plugin : all) {
    if (plugin->info.kind != kind) continue;
    if (plugin->info.name == name) return plugin;
    if (name == "auto") only = only == nullptr ? plugin : only;
  }
  return only;
}

Result<FoundPlugins> find_plugins(const Environment& environment) {
  FoundPlugins found{.host = std::make_unique<PluginHost>(PluginHost::Options{}), .all = {}};
  for (const PluginRequest& request : environment.plugins) {
    WEFT_ASSIGN(plugin, found.host->load(request));
    found.all.push_back(plugin);
  }
  return found;
}

Result<std::unique_ptr<Rank>> Rank::open(const FoundPlugins& plugins, wire::Assign assign, StoreClient& store) {
  std::unique_ptr<Rank> rank(new Rank());
  rank->assign_ = std::move(assign);
  rank->store_ = &store;
  auto config = parse_config({.text = rank->assign_.config_toml(),
                              .name = "configuration from the head",
                              .base_directory = "/",
                              .overrides = {}});
  if (!config) return fail(ErrorCode::internal, to_string(config.error()));
  rank->config_ = std::move(*config);
  if (const std::string hash = hash_config(rank->config_); hash != rank->assign_.config_hash())
    return fail(ErrorCode::refused, fmt::format("the head's configuration hashes to {} here, to {} there", hash,
                                                rank->assign_.config_hash()));
  WEFT_TRY(rank->make_plugins(plugins, store));
  WEFT_TRY(rank->open_groups(store));
  return rank;
}

Status Rank::make_plugins(const FoundPlugins& plugins, StoreClient& store) {
  const auto services = [&](const LoadedPlugin& plugin) -> HostServices& {
    services_.push_back(
        std::make_unique<PluginHostServices>(HostServicesSpec{.plugin = plugin.id(),
                                                              .metrics = &metrics_,
                                                              .store = &store,
                                                              .cpus = {assign_.cpus().begin(), assign_.cpus().end()}}));
    return *services_.back();
  };
  WEFT_ASSIGN(device, choose(plugins, "device", config_.device.plugin));
  WEFT_ASSIGN(device_options, options_of(*device, config_.device, "device.config"));
  plan_threads(device_options, assign_.threads());
  WEFT_ASSIGN(device_handle, create_plugin<Device>(*device, device_options, services(*device)));
  device_ = std::move(device_handle);
  WEFT_ASSIGN(communicator, choose(plugins, "communicator", config_.communicator.plugin));
  WEFT_ASSIGN(options, options_of(*communicator, config_.communicator, "communicator.config"));
  WEFT_ASSIGN(handle, create_plugin<Communicator>(*communicator, options, services(*communicator)));
  communicator_ = std::move(handle);
  WEFT_ASSIGN(control,
              choose(plugins, "communicator", config_.control == "auto" ? communicator->info.name : config_.control));
  if (control == communicator) return {};
  WEFT_ASSIGN(control_options, options_of(*control, PluginChoice{}, "communicator.config"));
  WEFT_ASSIGN(control_handle, create_plugin<Communicator>(*control, control_options, services(*control)));
  control_communicator_ = std::move(control_handle);
  return {};
}

Result<std::unique_ptr<Group>> Rank::open_group(Communicator& communicator, const wire::GroupInfo& info,
                                                StoreClient& store, Deadline deadline) {
  auto group = communicator.open({.id = info.id(),
                                  .rank = info.rank(),
                                  .size = info.size(),
                                  .members = {info.members().begin(), info.members().end()},
                                  .store = &store,
                                  .deadline = deadline,
                                  .operation_timeout = config_.timeouts.collective,
                                  .address = assign_.address()});
  if (!group) return fail(annotate(std::move(group).error(), "group " + info.id()));
  log::debug("worker", "group {} is open, {} of {}", info.id(), info.rank(), info.size());
  return std::move(*group);
}

Status Rank::open_groups(StoreClient& store) {
  const Deadline deadline = Deadline::in(config_.timeouts.join);
  const auto open = [&](std::unique_ptr<Group>& place, Communicator& communicator,
                        const wire::GroupInfo& info) -> Status {
    if (info.size() <= 1) return {};
    WEFT_ASSIGN(group, open_group(communicator, info, store, deadline));
    const std::lock_guard lock(groups_mutex_);
    place = std::move(group);
    return {};
  };
  WEFT_TRY(open(control_, control_communicator_ ? *control_communicator_ : *communicator_, assign_.control()));
  WEFT_TRY(open(tensor_, *communicator_, assign_.tensor()));
  return open(pipeline_, *communicator_, assign_.pipeline());
}

Result<std::unique_ptr<Group>> Rank::open_leaders(const wire::GroupInfo& info, Deadline deadline) {
  return open_group(control_communicator_ ? *control_communicator_ : *communicator_, info, *store_, deadline);
}

Status Rank::load(Progress& progress) {
  WEFT_ASSIGN(model, engine::read_model_config(config_.model.path));
  engine::RunnerSpec spec = runner_spec(
      config_, model,
      {.tp_rank = assign_.tp(), .tp_size = assign_.tp_size(), .pp_rank = assign_.pp(), .pp_size = assign_.pp_size()},
      assign_.kv_memory());
  spec.device = device_.get();
  spec.tensor_group = tensor_.get();
  spec.pipeline_group = pipeline_.get();
  spec.layers_done = &progress.layers;
  WEFT_ASSIGN(runner, engine::ModelRunner::load(spec));
  runner_ = std::move(runner);
  WEFT_ASSIGN(blocks, agree_on_blocks(runner_->kv_blocks()));
  kv_blocks_ = blocks;
  return runner_->create_cache(blocks);
}

Result<std::int32_t> Rank::agree_on_blocks(std::int32_t mine) {
  if (control_ == nullptr) return mine;
  // Loading may take far longer than a collective is given; whoever is missing at its end is named by the store.
  const std::string prefix = "group/" + assign_.control().id() + "/loaded/";
  const Deadline deadline = Deadline::in(config_.timeouts.load);
  WEFT_TRY(store_->set(prefix + std::to_string(assign_.control().rank()), "1", deadline));
  std::vector<std::string> keys;
  for (std::int32_t rank = 0; rank < ranks(); ++rank)
    keys.push_back(prefix + std::to_string(rank));
  WEFT_TRY_CONTEXT(store_->wait(keys, deadline), "waiting for the replica's other ranks to load");
  std::int32_t least = mine;
  const Buffer buffer{.data = &least, .size = sizeof least};
  WEFT_ASSIGN(work, control_->all_reduce(buffer, DType::i32, ReduceOp::min, {}));
  WEFT_TRY(work.wait(Deadline::in(config_.timeouts.collective)));
  return least;
}

std::string Rank::weights_hash() const {
  const engine::WeightHash hash = runner_->weight_hash();
  return big_endian(hash.high, hash.low);
}

Result<std::vector<std::string>> Rank::gather_hashes() {
  const std::string mine = weights_hash();
  if (control_ == nullptr) return std::vector<std::string>{mine};
  std::string all(mine.size() * static_cast<std::size_t>(ranks()), '\0');
  std::string sent = mine;
  WEFT_ASSIGN(work, control_->all_gather({.data = sent.data(), .size = sent.size()},
                                         {.data = all.data(), .size = all.size()}, DType::u8, {}));
  WEFT_TRY(work.wait(Deadline::in(config_.timeouts.collective)));
  std::vector<std::string> hashes;
  for (std::size_t at = 0; at < all.size(); at += mine.size())
    hashes.push_back(all.substr(at, mine.size()));
  return hashes;
}

void Rank::abort_groups(const Error& why) noexcept {
  const std::lock_guard lock(groups_mutex_);
  for (Group* group : {control_.get(), tensor_.get(), pipeline_.get()})
    if (group != nullptr) group->abort(why);
}

Status Rank::close_groups(Deadline deadline) {
  const std::lock_guard lock(groups_mutex_);
  Status first;
  for (std::unique_ptr<Group>* group : {&tensor_, &pipeline_, &control_}) {
    if (*group == nullptr) continue;
    if (Status closed = (*group)->close(deadline); !closed && first) first = std::move(closed);
  }
  return first;
}

}  // namespace weft::worker
