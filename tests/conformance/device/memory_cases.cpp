// Memory, copies, and what a device says of itself.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "tests/conformance/device/bench.h"
#include "tests/conformance/device/groups.h"

namespace weft::conformance {
namespace {

constexpr Bytes absurd[] = {Bytes{1} << 50, Bytes{1} << 62, Bytes{1} << 63, std::numeric_limits<Bytes>::max()};

void says_what_it_is(Context& context) {
  const Bench bench(context);
  const DeviceInfo info = bench->info();
  context.expect(!info.description.empty() && info.description.size() <= 300, "a description of 1 to 300 bytes");
  context.expect(info.description.find('\n') == std::string::npos, "a description of one line");
  context.expect(info.index >= -1, fmt::format("index {}", info.index));
  context.expect(info.batch_invariant == context.declares("batch_invariant"),
                 "info().batch_invariant and the capability batch_invariant differ");
  for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
    const bool computes = std::count(info.compute_types.begin(), info.compute_types.end(), type) == 1;
    context.expect(
        computes == context.declares(to_string(type)),
        fmt::format("{} in info().compute_types once: {}, declared: {}", to_string(type), computes, !computes));
  }
  context.expect(context.declares("f32"), "every device computes in f32");
  const DeviceInfo again = bench->info();
  context.expect(again.description == info.description && again.memory_total == info.memory_total, "info() changes");
}

std::vector<std::byte> read(const Bench& bench, Buffer buffer) {
  std::vector<std::byte> bytes(buffer.size);
  bench.ok(bench->copy_out(bytes.data(), buffer, buffer.size, bench.stream()), "copy_out");
  return bytes;
}

void allocates_zeroed(Context& context) {
  const Bench bench(context);
  for (int round = 0; round < 3; ++round)
    for (const Bytes size : {1U, 63U, 64U, 65U, 4097U, 100'000U, 3'000'000U}) {
      const Buffer buffer = context.take(bench->allocate(size), "allocate");
      context.expect(buffer.data != nullptr && buffer.size == size,
                     fmt::format("{} bytes were asked for, {} came", size, buffer.size));
      context.expect(buffer.kind == bench->info().memory, "memory of another kind than info() says");
      context.expect(reinterpret_cast<std::uintptr_t>(buffer.data) % 64 == 0,
                     fmt::format("{} bytes not aligned to 64", size));
      auto bytes = read(bench, buffer);
      context.expect(std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; }),
                     fmt::format("{} bytes came that are not zero", size));
      std::fill(bytes.begin(), bytes.end(), std::byte{0xff});  // what the next to get this memory must not see
      bench.ok(bench->copy_in(buffer, bytes.data(), size, bench.stream()), "copy_in");
      bench->release(buffer);
    }
}

void allocates_nothing(Context& context) {
  const Bench bench(context);
  const Buffer none = context.take(bench->allocate(0), "allocate(0)");
  context.expect(none.size == 0, "allocate(0) gave bytes");
  bench.ok(bench->copy_in(none, nullptr, 0, bench.stream()), "copy_in of nothing");
  bench.ok(bench->copy_out(nullptr, none, 0, bench.stream()), "copy_out of nothing");
  bench->release(none);
  bench->release({});
}

void refuses_the_absurd(Context& context) {
  const Bench bench(context);
  for (const Bytes size : absurd)
    context.expect_error(bench->allocate(size), ErrorCode::resource_exhausted, fmt::format("allocate({})", size));
  bench->release(context.take(bench->allocate(1000), "allocate after one that failed"));
}

void gives_memory_back(Context& context) {
  const Bench bench(context);
  const Bytes total = bench->info().memory_total;
  const Bytes size = Bytes{256} << 20;
  const Bytes rounds = total == 0 ? 64 : std::min<Bytes>(2000, 2 * total / size + 1);
  for (Bytes round = 0; round < rounds; ++round)
    bench->release(context.take(bench->allocate(size), fmt::format("allocation {} of 256 MiB, each released", round)));
}

void copies(Context& context) {
  const Bench bench(context);
  const Buffer buffer = context.take(bench->allocate(10'000), "allocate");
  const auto random_bytes = [&](std::size_t size) {
    std::vector<std::byte> bytes(size);
    for (std::byte& byte : bytes)
      byte = static_cast<std::byte>(context.random()());
    return bytes;
  };
  std::vector<std::byte> model = random_bytes(10'000);
  bench.ok(bench->copy_in(buffer, model.data(), model.size(), bench.stream()), "copy_in");
  for (int round = 0; round < 200; ++round) {
    const std::size_t from = context.random()() % 10'000;
    std::vector<std::byte> part = random_bytes(context.random()() % (10'001 - from));
    std::copy(part.begin(), part.end(), model.begin() + static_cast<std::ptrdiff_t>(from));
    bench.ok(bench->copy_in(buffer.slice(from, part.size()), part.data(), part.size(), bench.stream()), "copy_in");
    std::fill(part.begin(), part.end(), std::byte{0});  // `host` is read before return
  }
  bench.ok(bench->synchronize(bench.stream()), "synchronize");
  context.expect(read(bench, buffer) == model, "what was copied in does not come out");
  for (int round = 0; round < 100; ++round) {
    const std::size_t from = context.random()() % 10'000, size = context.random()() % (10'001 - from);
    std::vector<std::byte> host = random_bytes(size + 64), wanted = host;
    std::copy_n(model.begin() + static_cast<std::ptrdiff_t>(from), size, wanted.begin() + 32);
    bench.ok(bench->copy_out(host.data() + 32, buffer.slice(from, size), size, bench.stream()), "copy_out");
    context.expect(host == wanted,
                   fmt::format("copy_out of {} bytes at {} gave others, or wrote round them", size, from));
  }
  bench->release(buffer);
}

void copies_inside_only(Context& context) {
  const Bench bench(context);
  const Buffer buffer = context.take(bench->allocate(256), "allocate");
  std::vector<std::byte> host(512, std::byte{1});
  const Buffer part = buffer.slice(64, 64);
  context.expect_error(bench->copy_in(part, host.data(), 65, bench.stream()), ErrorCode::invalid_argument,
                       "copy_in of 65 bytes into 64");
  context.expect_error(bench->copy_in(part, nullptr, 1, bench.stream()), ErrorCode::invalid_argument,
                       "copy_in from nowhere");
  const auto now = read(bench, buffer);
  context.expect(std::count(now.begin(), now.end(), std::byte{0}) == 256, "a copy_in that was refused has written");
  context.expect_error(bench->copy_out(host.data(), part, 65, bench.stream()), ErrorCode::invalid_argument,
                       "copy_out of 65 bytes from 64");
  context.expect_error(bench->copy_out(nullptr, part, 1, bench.stream()), ErrorCode::invalid_argument,
                       "copy_out to nowhere");
  context.expect(std::count(host.begin(), host.end(), std::byte{1}) == 512, "a copy_out that was refused has written");
  bench->release(buffer);
}

void knows_streams_and_interfaces(Context& context) {
  const Bench bench(context);
  const Stream stream = bench.stream();
  context.expect(stream.kind == bench.stream().kind && stream.native == bench.stream().native, "stream() changes");
  bench.ok(bench->synchronize(stream), "synchronize");
  Stream other = stream;
  other.kind = stream.kind == Stream::Kind::host ? Stream::Kind::cuda : Stream::Kind::host;
  context.expect_error(bench->synchronize(other), ErrorCode::invalid_argument,
                       "synchronize with another kind of stream");
  for (const char* id : {"", "weft.no_such_interface/1", "device"})
    context.expect(bench->query(id) == nullptr, fmt::format("query('{}') is not null", id));
}

constexpr Case memory_rules[] = {
    {.id = "DV-01",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "info() is one line of description, an index of -1 or more, and the types and batch_invariant that the "
              "capabilities declare; f32 is among them",
     .rationale = "The plan chooses a device by its capabilities and runs it by its info.",
     .body = says_what_it_is},
    {.id = "DV-02",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "allocate gives exactly the bytes asked for, of info()'s kind of memory, zeroed also where used before, "
              "aligned to 64 bytes",
     .rationale = "KV blocks and activations start as zeros; vectors of 64 bytes are loaded from them.",
     .body = allocates_zeroed},
    {.id = "DV-03",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "allocate(0) gives an empty buffer, which can be copied to and from with 0 bytes, and released; so can "
              "no buffer at all",
     .rationale = "An empty batch is a batch.",
     .body = allocates_nothing},
    {.id = "DV-04",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "memory that is not to be had is resource_exhausted, and the device works on",
     .rationale = "2^50, 2^62, 2^63 and 2^64 - 1 bytes are asked for.",
     .body = refuses_the_absurd},
    {.id = "DV-05",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "release gives memory back: twice the device's memory can be allocated piece by piece",
     .rationale = "A worker lives for months.",
     .body = gives_memory_back},
    {.id = "DV-06",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title =
         "copy_in and copy_out move exactly their bytes, at any offset; copy_in has read the host's when it returns",
     .rationale = "The scheduler's arrays are reused at once.",
     .body = copies},
    {.id = "DV-07",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title =
         "a copy of more bytes than the buffer has, or without a host pointer, is invalid_argument and moves nothing",
     .rationale = "A wrong length is an error, not a crash.",
     .body = copies_inside_only},
    {.id = "DV-08",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "stream() is always the same, a stream of another kind is invalid_argument, and query() of an unknown "
              "interface is null",
     .rationale = "A stream says what it is so that this can be told.",
     .body = knows_streams_and_interfaces},
};

}  // namespace

std::span<const Case> device_memory_cases() { return memory_rules; }

}  // namespace weft::conformance
