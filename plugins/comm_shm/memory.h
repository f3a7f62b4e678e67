// The group's shared memory as the kernel sees it: a memfd, sealed at its size and mapped. It has no name, so nothing of
// it outlives the processes that hold it, however they end; nobody can shrink it, so reading it cannot fault.
#pragma once

#include <cstddef>

#include "plugins/common/descriptor.h"
#include "weft/buffer.h"
#include "weft/status.h"

namespace weft::comm_shm {

// A memfd of `bytes` zeroes, none of them committed yet.
Result<plugins::Descriptor> make_memory(Bytes bytes);

class Memory {
 public:
  // Maps a memfd that make_memory() made, here or in another process. refused: it is none, or has another size.
  static Result<Memory> map(plugins::Descriptor file, Bytes bytes);
  Memory(Memory&& other) noexcept;
  Memory& operator=(Memory&&) = delete;
  ~Memory();

  std::byte* base() const noexcept { return base_; }
  // Takes memory of the machine for these bytes now, so that a lack of it is an error here and no signal later.
  Status commit(Bytes offset, Bytes bytes) const;

 private:
  Memory(plugins::Descriptor file, std::byte* base, Bytes bytes) : file_(std::move(file)), base_(base), bytes_(bytes) {}

  plugins::Descriptor file_;
  std::byte* base_;
  Bytes bytes_;
};

}  // namespace weft::comm_shm
