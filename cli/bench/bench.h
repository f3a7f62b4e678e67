// `weft bench`: its subcommands, one file each, and the options that several of them have.
#pragma once

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/setup_options.h"
#include "weft/status.h"

namespace weft::cli {

void add_bench_latency(CLI::App& bench, int& exit_code);
void add_bench_throughput(CLI::App& bench, int& exit_code);
void add_bench_kernels(CLI::App& bench, int& exit_code);
void add_bench_model(CLI::App& bench, int& exit_code);

struct BenchOptions {
  SetupOptions setup;
  std::string model;  // --model: a name or a directory, in place of a file
  std::string json;
  int repeat = 5;
};

// -c or --model, --set, --plugin-dir, --json, --repeat.
void add_bench_options(CLI::App& command, BenchOptions& options);

// A number of tokens, requests and the like: a whole one from 1 to 1,048,576.
void add_count(CLI::App& command, const std::string& name, std::int32_t& value, const std::string& help);

// Whatever can be said before anything starts: resolves --model (which may make it) and looks whether --json can be written. An
// error's text is for the user.
Status prepare(BenchOptions& options);

// Tells the error on standard error; returns the code.
int failed_with(const Error& error, int code);

// What was measured, on what: the beginning of every report.
nlohmann::ordered_json report_head(const std::string& benchmark, const Setup& setup, const BenchOptions& options);
std::string report_head_text(const Setup& setup);
// Writes the report where the user wants one.
Status write_report(const std::string& path, const nlohmann::ordered_json& report);

}  // namespace weft::cli
