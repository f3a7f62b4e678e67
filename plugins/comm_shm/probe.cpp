#include "plugins/comm_shm/probe.h"

#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "plugins/comm_shm/futex.h"
#include "plugins/comm_shm/handshake.h"
#include "plugins/comm_shm/memory.h"
#include "plugins/common/errno_text.h"

namespace weft::comm_shm {

Status probe() {
  constexpr Bytes page = 4096;
  WEFT_ASSIGN(file, make_memory(page));
  WEFT_ASSIGN(memory, Memory::map(std::move(file), page));
  WEFT_TRY(memory.commit(0, page));
  const plugins::Descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  if (!process)
    return fail(ErrorCode::unavailable, fmt::format("pidfd_open: {}; shm needs Linux 5.3", plugins::errno_text(errno)));
  std::atomic<std::uint32_t> word{0};
  if (::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), FUTEX_WAKE, 1, nullptr, nullptr, 0) != 0)
    return fail(ErrorCode::unavailable, fmt::format("futex: {}", plugins::errno_text(errno)));
  WEFT_ASSIGN(name, random_token());
  WEFT_TRY(listen_at("weft-shm/" + std::string(name.begin(), name.end())));
  return {};
}

}  // namespace weft::comm_shm
