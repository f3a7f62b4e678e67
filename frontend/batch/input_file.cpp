#include "frontend/batch/input_file.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <memory>

namespace weft::frontend {
namespace {

struct FreeHash {
  void operator()(XXH3_state_t* state) const noexcept { XXH3_freeState(state); }
};

}  // namespace

Result<InputFile> InputFile::scan(const std::string& path, std::size_t line_limit_bytes) {
  InputFile input{.path = path, .has_request = {false}};
  WEFT_ASSIGN(reader, LineReader::open(path, line_limit_bytes));
  const std::unique_ptr<XXH3_state_t, FreeHash> state(XXH3_createState());
  if (state == nullptr) return fail(ErrorCode::resource_exhausted, "no memory for a hash");
  XXH3_128bits_reset(state.get());
  reader.observe([&](std::string_view piece) {
    XXH3_128bits_update(state.get(), piece.data(), piece.size());
    input.bytes += static_cast<std::int64_t>(piece.size());
  });
  for (;;) {
    WEFT_ASSIGN(line, reader.next());
    if (!line) break;
    input.last_line = line->number;
    if ((line->number - 1) % offset_stride == 0) input.offsets.push_back(line->offset);
    input.has_request.push_back(!line->blank());
    input.requests += line->blank() ? 0 : 1;
  }
  const XXH128_hash_t hash = XXH3_128bits_digest(state.get());
  input.hash = fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
  return input;
}

Result<LineReader> InputFile::reader_at(std::int64_t line, std::size_t line_limit_bytes) const {
  WEFT_ASSIGN(reader, LineReader::open(path, line_limit_bytes));
  const std::int64_t mark = (line - 1) / offset_stride;
  if (mark < static_cast<std::int64_t>(offsets.size()))
    reader.seek(offsets[static_cast<std::size_t>(mark)], mark * offset_stride + 1);
  for (std::int64_t skip = (line - 1) % offset_stride; skip > 0; --skip)
    WEFT_TRY(reader.next());
  return reader;
}

}  // namespace weft::frontend
