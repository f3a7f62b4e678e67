// Host memory: pages of their own from the system, of which a device may have so many.
#pragma once

#include <weft/device.h>

#include <map>
#include <vector>

namespace weft::mutant {

inline constexpr Bytes memory_of_a_device = Bytes{8} << 30;

class Memory {
 public:
  Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory();

  Result<Buffer> allocate(Bytes bytes);
  void release(Buffer buffer) noexcept;
  Status copy_in(Buffer to, const void* host, Bytes bytes);
  Status copy_out(void* host, Buffer from, Bytes bytes);
  void finish_copies();  // that a mutant has put off

 private:
  struct Copy {
    void* to;
    const void* from;
    Bytes bytes;
  };

  std::map<void*, Bytes> pages_;
  std::map<Bytes, void*> reused_;  // by a mutant that hands memory out again as it is
  std::vector<Copy> late_;
  Bytes used_ = 0;
};

}  // namespace weft::mutant
