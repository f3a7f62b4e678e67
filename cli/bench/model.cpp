// `weft bench model`: makes a model of random weights and says where.
#include <fmt/format.h>

#include "cli/bench/bench.h"
#include "cli/bench/bench_model.h"
#include "cli/exit_code.h"

namespace weft::cli {
namespace {

int run_model(const BenchModel& model) {
  const auto directory = provide_bench_model(model);
  if (!directory) return failed_with(directory.error(), exit_code_of(directory.error()));
  fmt::print("{}\n", *directory);
  return exit_ok;
}

}  // namespace

void add_bench_model(CLI::App& bench, int& exit_code) {
  CLI::App* command =
      bench.add_subcommand("model", "Make a Llama model of random weights for measuring; prints its directory");
  auto model = std::make_shared<BenchModel>();
  auto type = std::make_shared<std::string>(to_string(model->type));
  command->add_option("name", model->name, "Which")
      ->required()
      ->check(CLI::IsMember(bench_models()))
      ->type_name("NAME");
  command->add_option("--dtype", *type, "Of its weights")
      ->check(CLI::IsMember({"bf16", "f16", "f32"}))
      ->type_name("TYPE")
      ->capture_default_str();
  command->add_option("--seed", model->seed, "The same seed gives the same bytes")->capture_default_str();
  command->add_option("--to", model->directory, "Where; otherwise in the user's cache folder")->type_name("DIR");
  command->footer("Example:\n  weft bench model bench-100m --dtype f32 --to models/bench-100m-f32");
  command->callback([model, type, &exit_code] {
    model->type = dtype_from(*type).value_or(DType::bf16);
    exit_code = run_model(*model);
  });
}

}  // namespace weft::cli
