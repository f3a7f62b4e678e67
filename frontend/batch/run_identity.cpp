#include "frontend/batch/run_identity.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "frontend/batch/write_all.h"
#include "text/json.h"

namespace weft::frontend {
namespace {

constexpr int format_version = 1;
constexpr std::size_t size_limit_bytes = std::size_t{1} << 20;

std::string what_to_do(const std::string& output) {
  return fmt::format("choose another output, or remove {} and {}", output, sidecar_path(output));
}

}  // namespace

std::string sidecar_path(const std::string& output) { return output + ".weft-run"; }

Result<RunIdentity> read_sidecar(const std::string& output) {
  const std::string path = sidecar_path(output);
  WEFT_ASSIGN(text, text::read_file(path, size_limit_bytes));
  const auto damaged = [&] {
    return fail(ErrorCode::data_loss,
                fmt::format("{}: not a file that `weft run` of this version wrote; {}", path, what_to_do(output)));
  };
  const auto json = text::parse_json(text);
  if (!json || !json->is_object() || json->value("version", nlohmann::json()) != format_version) return damaged();
  const nlohmann::json input = json->value("input", nlohmann::json());
  const nlohmann::json model = json->value("model", nlohmann::json());
  if (!input.is_string() || !model.is_string()) return damaged();
  return RunIdentity{.input_hash = input.get<std::string>(), .model = model.get<std::string>()};
}

Status write_sidecar(const std::string& output, const RunIdentity& identity) {
  nlohmann::ordered_json json;
  json["version"] = format_version;
  json["input"] = identity.input_hash;
  json["model"] = identity.model;
  const std::string text = json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  const std::string path = sidecar_path(output);
  const std::string beside = path + ".new";
  const auto broken = [&] {
    const int code = errno;
    (void)::unlink(beside.c_str());
    return fail(write_error(code), fmt::format("{}: cannot be written: {}", path, std::strerror(code)));
  };
  const int file = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0) return broken();
  const bool written = write_all(file, text) && ::fsync(file) == 0;
  const int code = errno;
  if (::close(file) != 0 && written) return broken();
  errno = code;
  if (!written || std::rename(beside.c_str(), path.c_str()) != 0) return broken();
  return {};
}

Status check_same_run(const std::string& output, const RunIdentity& found, const RunIdentity& ours) {
  if (found.input_hash != ours.input_hash)
    return fail(ErrorCode::already_exists,
                fmt::format("{}: holds the answers to another input (its hash was {}, this one's is {}); {}", output,
                            found.input_hash, ours.input_hash, what_to_do(output)));
  if (found.model != ours.model)
    return fail(ErrorCode::already_exists,
                fmt::format("{}: was made with another model or other settings ('{}', now '{}'); {}", output,
                            found.model, ours.model, what_to_do(output)));
  return {};
}

}  // namespace weft::frontend
