// The typed configuration of a cluster, as weft.toml says it. Reading finds every problem at once, each with
// file:line:column; what is read can be printed as TOML again, whole, and hashed.
//
// A key whose feature this version lacks is refused at its line ("not in this version"). Pure values; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/plugin/options.h"
#include "weft/buffer.h"
#include "weft/dtype.h"
#include "weft/status.h"
#include "weft/time.h"

namespace weft {

// Which plugin of a kind, and the user's own options for it (checked by the plugin host against its declaration).
struct PluginChoice {
  std::string plugin;               // a name, "auto", or empty: the file at `path` says
  std::string path;                 // a file; empty: searched by name
  std::string sha256;               // pins the file; empty: not pinned
  std::vector<UserOption> options;  // [<kind>.config]
  std::string where;                // of the table, for messages about the choice
};

// Memory as a count of bytes or as a share of the node's, split over its ranks.
struct MemoryAmount {
  Bytes bytes = 0;
  double share = 0;  // 0 < share <= 1; 0: `bytes` counts
};

struct Config {
  struct Model {
    std::string path;                         // absolute
    std::optional<DType> dtype;               // nullopt: the checkpoint's
    std::optional<std::int32_t> max_context;  // tokens; nullopt: the model's
    std::string chat_template;                // a file; empty: the model's own
  } model;
  struct Parallel {
    std::int32_t data = 1;
    std::int32_t tensor = 1;
    std::int32_t pipeline = 1;
    bool expert = false;
    std::optional<std::int32_t> threads;  // of a rank; nullopt: its share of the node's cores
    bool oversubscribe = false;
  } parallel;
  PluginChoice executor{.plugin = "mp"};
  PluginChoice communicator{.plugin = "auto"};
  std::string control = "auto";  // communicator of the group that carries step plans
  PluginChoice device{.plugin = "auto"};
  PluginChoice balancer{.plugin = "least_loaded"};
  std::string balancer_mode = "internal";
  struct Engine {
    std::int32_t max_batch_tokens = 2048;
    std::int32_t max_requests = 256;  // running at once, a replica
    std::int32_t block_size = 16;     // tokens
    MemoryAmount kv_memory{.bytes = 256u << 20};
    bool prefix_cache = false;
  } engine;
  struct Batch {
    std::string distribution = "shared";  // shared | static
    std::int32_t window = 10000;          // requests read ahead
    std::int32_t max_tokens = 256;        // where a request names none
  } batch;
  struct Cluster {
    std::string name = "weft";
    std::string run_dir;                 // absolute; empty: one per cluster under the user's state directory
    std::string listen = "127.0.0.1:0";  // the head's one port
    std::string advertise;               // the address workers are told; empty: `listen`'s
  } cluster;
  struct Timeouts {
    Duration plugin = std::chrono::seconds(30);
    Duration launch = std::chrono::minutes(10);
    Duration join = std::chrono::seconds(60);
    Duration load = std::chrono::minutes(10);
    Duration collective = std::chrono::seconds(20);
    Duration stall = std::chrono::seconds(30);
    Duration lease = std::chrono::seconds(5);
    Duration drain = std::chrono::seconds(30);
    Duration rejoin = Duration::zero();
  } timeouts;
  struct Log {
    std::string level = "info";   // trace | debug | info | warn | error
    std::string format = "text";  // text | json
  } log;
  struct Plugins {
    bool strict = false;  // refuse group-writable plugin files
  } plugins;
};

// One thing that is wrong, where it stands: "weft.toml:7:1" or "--set parallel.data".
struct Problem {
  std::string where;
  std::string message;
};
// "weft.toml:7:1: [parallel] unknown key 'tensr'; did you mean 'tensor'?"
std::string to_string(const Problem& problem);
// One problem a line.
std::string to_string(std::span<const Problem> problems);

struct ConfigSource {
  std::string text;                    // TOML, at most 1 MiB
  std::string name;                    // for messages: the path as the user wrote it
  std::string base_directory;          // relative paths in the file start here
  std::vector<std::string> overrides;  // "parallel.data=4", applied in order; from --set
};

// All that a file gave: what could be read, and what is wrong with the rest.
struct ParsedConfig {
  Config config;
  std::vector<Problem> problems;  // in file order; empty: the configuration is good
  bool unreadable = false;        // no file, no TOML: `config` holds nothing but defaults, and there is one problem
  bool missing = false;           // there is no such file
};

// For commands that want to add further problems (of plugins) to those of the file.
ParsedConfig read_config(const std::string& path, std::vector<std::string> overrides);

// Everything that is wrong, in file order; a syntax error is reported alone.
tl::expected<Config, std::vector<Problem>> parse_config(const ConfigSource& source);
// Reads the file and parses it. A file that cannot be read is one problem.
tl::expected<Config, std::vector<Problem>> load_config(const std::string& path, std::vector<std::string> overrides);

// The whole configuration as TOML, in a fixed order, defaults included; parse_config reads it back to an equal value.
std::string print_config(const Config& config);
// 32 hexadecimal digits (XXH3-128) over print_config: equal exactly when the resolved configurations are.
std::string hash_config(const Config& config);

// One key, for documents and checks: what weft.toml may say is this table and nothing else.
struct ConfigField {
  std::string_view table;
  std::string_view key;
  std::string_view type;      // "integer", "boolean", "string", "duration", "size", "size or share"
  std::string_view range;     // "1..4096", "a | b", "above 0s", or empty
  std::string_view help;      // one sentence
  std::string default_value;  // as TOML; empty: none, what then holds is in `help`
  bool required = false;
  std::string_view pattern;  // of a string: a regular expression (ECMA 262) for all of it; empty: any
};
// In the order in which they are documented, the keys of a table together.
std::vector<ConfigField> config_fields();

// A table "[executor]" whose keys choose a plugin of a kind and whose sub-table "config" belongs to that plugin.
struct ConfigPluginTable {
  std::string_view table;
  std::string_view kind;
};
std::vector<ConfigPluginTable> config_plugin_tables();

}  // namespace weft
