#include <arpa/inet.h>
#include <fmt/format.h>

#include <charconv>

#include <limits>

#include "core/config/field.h"
#include "core/plugin/units.h"

namespace weft::config_detail {
namespace {

constexpr std::int32_t int32_max = std::numeric_limits<std::int32_t>::max();

Status expected(const toml::node& node, std::string_view what) {
  return fail(ErrorCode::invalid_argument, fmt::format("found {}, expected {}", describe_node(node), what));
}

Result<std::int64_t> read_integer(const toml::node& node, std::int64_t low, std::int64_t high) {
  const auto* value = node.as_integer();
  const std::string what = high == int32_max ? fmt::format("an integer of at least {}", low)
                                             : fmt::format("an integer from {} to {}", low, high);
  if (value == nullptr || value->get() < low || value->get() > high)
    return tl::unexpected(expected(node, what).error());
  return value->get();
}

// `place` is a lambda Config& -> T&; it serves const configurations through a copy of the reference.
template <class Place>
const auto& look(const Place& place, const Config& config) {
  return place(const_cast<Config&>(config));  // the lambdas only pick a member
}

std::string range_text(std::int64_t low, std::int64_t high) {
  return high == int32_max ? fmt::format("{}..", low) : fmt::format("{}..{}", low, high);
}

template <class Place>
Field integer(std::string table, std::string key, std::int64_t low, std::int64_t high, std::string help, Place place) {
  return {table,
          key,
          "integer",
          range_text(low, high),
          std::move(help),
          [=](Config& config, const toml::node& node) -> Status {
            WEFT_ASSIGN(value, read_integer(node, low, high));
            place(config) = static_cast<std::int32_t>(value);
            return {};
          },
          [=](const Config& config) { return fmt::format("{}", look(place, config)); }};
}

template <class Place>
Field optional_integer(std::string table, std::string key, std::int64_t low, std::int64_t high, std::string help,
                       Place place) {
  return {table,
          key,
          "integer",
          range_text(low, high),
          std::move(help),
          [=](Config& config, const toml::node& node) -> Status {
            WEFT_ASSIGN(value, read_integer(node, low, high));
            place(config) = static_cast<std::int32_t>(value);
            return {};
          },
          [=](const Config& config) {
            const auto& value = look(place, config);
            return value ? fmt::format("{}", *value) : std::string();
          }};
}

template <class Place>
Field boolean(std::string table, std::string key, std::string help, Place place) {
  return {table,
          key,
          "boolean",
          "",
          std::move(help),
          [=](Config& config, const toml::node& node) -> Status {
            if (!node.is_boolean()) return expected(node, "true or false");
            place(config) = node.as_boolean()->get();
            return {};
          },
          [=](const Config& config) { return std::string(look(place, config) ? "true" : "false"); }};
}

// A boolean whose feature is not built: only false is legal.
template <class Place>
Field unbuilt(std::string table, std::string key, std::string help, Place place) {
  Field field = boolean(std::move(table), std::move(key), std::move(help), place);
  field.range = "false";
  const auto read = field.read;
  field.read = [=](Config& config, const toml::node& node) -> Status {
    WEFT_TRY(read(config, node));
    if (look(place, config))
      return fail(ErrorCode::unimplemented, "true is not in this version; take the line out or say false");
    return {};
  };
  return field;
}

template <class Place>
Field text(std::string table, std::string key, std::string help, Place place) {
  return {table,
          key,
          "string",
          "",
          std::move(help),
          [=](Config& config, const toml::node& node) -> Status {
            const auto* value = node.as_string();
            if (value == nullptr) return expected(node, "a string");
            if (value->get().find('\0') != std::string::npos)
              return expected(node, "a string without a null character");
            place(config) = value->get();
            return {};
          },
          [=](const Config& config) {
            const std::string& value = look(place, config);
            return value.empty() ? std::string() : toml_string(value);
          }};
}

// One of some words; `later` are words that the documents name and this version lacks.
template <class Place>
Field choice(std::string table, std::string key, std::vector<std::string> words, std::vector<std::string> later,
             std::string help, Place place) {
  return {table,
          key,
          "string",
          fmt::format("{}", fmt::join(words, " | ")),
          std::move(help),
          [=](Config& config, const toml::node& node) -> Status {
            const auto* value = node.as_string();
            if (value != nullptr) {
              for (const std::string& word : words)
                if (word == value->get()) {
                  place(config) = word;
                  return {};
                }
              for (const std::string& word : later)
                if (word == value->get())
                  return fail(ErrorCode::unimplemented,
                              fmt::format("'{}' is not in this version; there is {}", word, fmt::join(words, ", ")));
            }
            return expected(node, fmt::format("one of {}", fmt::join(words, ", ")));
          },
          [=](const Config& config) { return toml_string(look(place, config)); }};
}

template <class Place>
Field duration(std::string table, std::string key, bool zero_is_legal, std::string help, Place place) {
  return {table,
          key,
          "duration",
          zero_is_legal ? "" : "above 0s",
          std::move(help),
          [=](Config& config, const toml::node& node) -> Status {
            const auto* value = node.as_string();
            if (value == nullptr) return expected(node, "a duration such as \"30s\", \"500ms\" or \"10m\"");
            WEFT_ASSIGN(parsed, parse_duration(value->get()));
            if (parsed < Duration::zero() || (parsed == Duration::zero() && !zero_is_legal))
              return expected(node, "a duration above zero");
            place(config) = parsed;
            return {};
          },
          [=](const Config& config) { return toml_string(format_duration(look(place, config))); }};
}

Status read_dtype(Config& config, const toml::node& node) {
  const auto* value = node.as_string();
  if (value != nullptr && value->get() == "auto") {
    config.model.dtype.reset();
    return {};
  }
  if (value != nullptr)
    if (const auto type = dtype_from(value->get()); type && is_float(*type)) {
      config.model.dtype = *type;
      return {};
    }
  return expected(node, "one of auto, f32, bf16, f16");
}

Status read_memory(Config& config, const toml::node& node) {
  const auto* value = node.as_string();
  constexpr std::string_view what = "a size such as \"512MiB\", or a share of the node's memory such as \"60%\"";
  if (value == nullptr) return expected(node, what);
  const std::string& text = value->get();
  if (!text.empty() && text.back() == '%') {
    char* end = nullptr;
    const double percent = std::strtod(text.c_str(), &end);
    if (end != text.c_str() + text.size() - 1 || !(percent > 0 && percent <= 100)) return expected(node, what);
    config.engine.kv_memory = {.bytes = 0, .share = percent / 100};
    return {};
  }
  WEFT_ASSIGN(bytes, parse_bytes(text));
  if (bytes == 0) return expected(node, what);
  config.engine.kv_memory = {.bytes = bytes, .share = 0};
  return {};
}

std::string print_memory(const Config& config) {
  const MemoryAmount& amount = config.engine.kv_memory;
  return toml_string(amount.share > 0 ? fmt::format("{}%", amount.share * 100) : format_bytes(amount.bytes));
}

Status read_rejoin(Config& config, const toml::node& node) {
  const auto* value = node.as_string();
  if (value == nullptr) return expected(node, "a duration such as \"0s\"");
  WEFT_ASSIGN(parsed, parse_duration(value->get()));
  if (parsed != Duration::zero())
    return fail(ErrorCode::unimplemented,
                "workers that outlive the head and rejoin are not in this version; say \"0s\"");
  config.timeouts.rejoin = parsed;
  return {};
}

// ZeroMQ binds to addresses, not to names.
Status read_listen(Config& config, const toml::node& node) {
  constexpr std::string_view what = "ADDRESS:PORT, an IPv4 address and a port from 0 to 65535, as in \"127.0.0.1:0\"";
  const auto* value = node.as_string();
  if (value == nullptr) return expected(node, what);
  const std::string& text = value->get();
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) return expected(node, what);
  in_addr address{};
  int port = -1;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + colon + 1, end, port);
  if (inet_pton(AF_INET, text.substr(0, colon).c_str(), &address) != 1 || parsed.ec != std::errc() ||
      parsed.ptr != end || port < 0 || port > 65535)
    return expected(node, what);
  config.cluster.listen = text;
  return {};
}

// The links cannot tell a silence shorter than this from a busy machine.
Status read_lease(Config& config, const toml::node& node) {
  constexpr std::string_view what = "a duration from \"100ms\" to \"1h\"";
  const auto* value = node.as_string();
  if (value == nullptr) return expected(node, what);
  WEFT_ASSIGN(parsed, parse_duration(value->get()));
  if (parsed < std::chrono::milliseconds(100) || parsed > std::chrono::hours(1)) return expected(node, what);
  config.timeouts.lease = parsed;
  return {};
}

Status read_path(Config& config, const toml::node& node) {
  const auto* value = node.as_string();
  if (value == nullptr || value->get().empty()) return expected(node, "the path of a model directory");
  config.model.path = value->get();
  return {};
}

std::vector<Field> model_fields() {
  return {
      {"model", "path", "string", "", "Hugging Face directory of the model, relative to this file.", read_path,
       [](const Config& c) { return toml_string(c.model.path); }, "^.+$"},
      {"model", "dtype", "string", "auto | f32 | bf16 | f16",
       "Type of matrix operands, activations and KV; auto: the checkpoint's; f32 widens the weights.", read_dtype,
       [](const Config& c) { return toml_string(c.model.dtype ? to_string(*c.model.dtype) : "auto"); }},
      optional_integer(
          "model", "max_context", 2, int32_max, "Tokens of a request at most; default: the model's own.",
          [](Config & c) -> auto& { return c.model.max_context; }),
      text(
          "model", "chat_template", "A file with the chat template; default: the model's own.",
          [](Config & c) -> auto& { return c.model.chat_template; }),
  };
}

std::vector<Field> parallel_fields() {
  return {
      integer(
          "parallel", "data", 1, 4096, "Copies of the model (DP).",
          [](Config & c) -> auto& { return c.parallel.data; }),
      integer(
          "parallel", "tensor", 1, 1024, "Ranks that split each layer (TP).",
          [](Config & c) -> auto& { return c.parallel.tensor; }),
      integer(
          "parallel", "pipeline", 1, 1024, "Ranks that split the layers (PP).",
          [](Config & c) -> auto& { return c.parallel.pipeline; }),
      unbuilt(
          "parallel", "expert", "MoE: split experts over all data x tensor ranks.",
          [](Config & c) -> auto& { return c.parallel.expert; }),
      optional_integer(
          "parallel", "threads", 1, 4096, "Threads of a rank; default: its share of the node's cores.",
          [](Config & c) -> auto& { return c.parallel.threads; }),
      boolean(
          "parallel", "oversubscribe", "Allow more threads or devices than the machine has.",
          [](Config & c) -> auto& { return c.parallel.oversubscribe; }),
  };
}

std::vector<Field> engine_fields() {
  return {
      integer(
          "engine", "max_batch_tokens", 1, 1 << 20, "Tokens of one step of a replica at most.",
          [](Config & c) -> auto& { return c.engine.max_batch_tokens; }),
      integer(
          "engine", "max_requests", 1, 65536, "Requests running at once in a replica at most.",
          [](Config & c) -> auto& { return c.engine.max_requests; }),
      integer(
          "engine", "block_size", 1, 1024, "Tokens of one block of the KV cache.",
          [](Config & c) -> auto& { return c.engine.block_size; }),
      {"engine", "kv_memory", "size or share", "above 0",
       "KV cache of a rank: a size, or a share of the node's memory (\"60%\").", read_memory, print_memory},
      unbuilt(
          "engine", "prefix_cache", "Share the KV blocks of equal prompt prefixes.",
          [](Config & c) -> auto& { return c.engine.prefix_cache; }),
  };
}

// What it may hold is checked when all has been read: an override may have changed it.
Field cluster_name() {
  Field field = text(
      "cluster", "name", "Names the run directory; several clusters live side by side under several names.",
      [](Config & c) -> auto& { return c.cluster.name; });
  field.range = "letters, digits, - _ .";
  field.pattern = "^[A-Za-z0-9_-][A-Za-z0-9_.-]*$";
  return field;
}

std::vector<Field> batch_and_cluster_fields() {
  return {
      choice(
          "balancer", "mode", {"internal"}, {"hybrid", "external"}, "Which endpoint stands for which replicas.",
          [](Config & c) -> auto& { return c.balancer_mode; }),
      text(
          "communicator", "control", "Communicator of the group that carries step plans: auto or a plugin's name.",
          [](Config & c) -> auto& { return c.control; }),
      choice(
          "batch", "distribution", {"shared", "static"}, {},
          "shared: one queue for all replicas; static: an equal part of the input for each.",
          [](Config & c) -> auto& { return c.batch.distribution; }),
      integer(
          "batch", "window", 1, 10'000'000, "Requests read ahead of the replicas.",
          [](Config & c) -> auto& { return c.batch.window; }),
      integer(
          "batch", "max_tokens", 1, int32_max, "Generated tokens at most, where a request names none.",
          [](Config & c) -> auto& { return c.batch.max_tokens; }),
      cluster_name(),
      text(
          "cluster", "run_dir", "Where endpoint, token, lock and logs lie; default: under the user's state directory.",
          [](Config & c) -> auto& { return c.cluster.run_dir; }),
      {"cluster", "listen", "string", "ADDRESS:PORT", "Address and port of the head; port 0: any.", read_listen,
       [](const Config& c) { return toml_string(c.cluster.listen); }, "^[0-9]{1,3}(\\.[0-9]{1,3}){3}:[0-9]{1,5}$"},
      text(
          "cluster", "advertise", "Address that workers are told, where it is not `listen`'s.",
          [](Config & c) -> auto& { return c.cluster.advertise; }),
  };
}

std::vector<Field> timeout_and_log_fields() {
  return {
      duration(
          "timeouts", "plugin", false, "Of checking one plugin's file, and of a first object of it.",
          [](Config & c) -> auto& { return c.timeouts.plugin; }),
      duration(
          "timeouts", "launch", false, "From launch until every rank of a replica is placed.",
          [](Config & c) -> auto& { return c.timeouts.launch; }),
      duration(
          "timeouts", "join", false, "From placed until every rank has joined.",
          [](Config & c) -> auto& { return c.timeouts.join; }),
      duration(
          "timeouts", "load", false, "From joined until the replica is ready.",
          [](Config & c) -> auto& { return c.timeouts.load; }),
      duration(
          "timeouts", "collective", false, "Of one operation of a group.",
          [](Config & c) -> auto& { return c.timeouts.collective; }),
      duration(
          "timeouts", "stall", false, "Work is queued and no progress is made: the replica hangs.",
          [](Config & c) -> auto& { return c.timeouts.stall; }),
      {"timeouts", "lease", "duration", "100ms..1h", "Silence of a worker, or of the head, until it is taken for dead.",
       read_lease, [](const Config& c) { return toml_string(format_duration(c.timeouts.lease)); }},
      duration(
          "timeouts", "drain", true, "From a first interrupt until running requests are given up.",
          [](Config & c) -> auto& { return c.timeouts.drain; }),
      {"timeouts", "rejoin", "duration", "0s", "How long workers outlive the head; 0s: not at all.", read_rejoin,
       [](const Config& c) { return toml_string(format_duration(c.timeouts.rejoin)); }},
      choice(
          "log", "level", {"trace", "debug", "info", "warn", "error"}, {}, "What is logged, and what is more severe.",
          [](Config & c) -> auto& { return c.log.level; }),
      choice(
          "log", "format", {"text", "json"}, {}, "Of log lines.", [](Config & c) -> auto& { return c.log.format; }),
      boolean(
          "plugins", "strict", "Refuse plugin files that a group may write.",
          [](Config & c) -> auto& { return c.plugins.strict; }),
  };
}

}  // namespace

const std::vector<Field>& fields() {
  static const std::vector<Field> all = [] {
    std::vector<Field> made;
    for (auto part :
         {model_fields(), parallel_fields(), engine_fields(), batch_and_cluster_fields(), timeout_and_log_fields()})
      made.insert(made.end(), part.begin(), part.end());
    return made;
  }();
  return all;
}

const std::vector<PluginTable>& plugin_tables() {
  static const std::vector<PluginTable> all = {
      {"executor", "executor", &Config::executor},
      {"communicator", "communicator", &Config::communicator},
      {"device", "device", &Config::device},
      {"balancer", "load_balancer", &Config::balancer},
  };
  return all;
}

}  // namespace weft::config_detail
