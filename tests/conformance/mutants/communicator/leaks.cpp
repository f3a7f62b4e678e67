#include "tests/conformance/mutants/communicator/leaks.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "tests/conformance/mutants/communicator/switches.h"

namespace mutant {

std::string leak_at_open() {
  if (breaks("leaks_fd")) (void)!::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (breaks("leaks_thread")) std::thread([] { ::pause(); }).detach();
  if (breaks("leaks_mapping")) (void)!::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (breaks("leaks_memory")) {
    static char* volatile last;  // used, so that the allocation is not left out
    last = static_cast<char*>(std::malloc(100'000));
    std::memset(last, 1, 100'000);
  }
  if (!breaks("segment_outlives_the_killed")) return {};
  static std::atomic<int> number{0};
  const std::string name = "/weft-mutant-" + std::to_string(::getpid()) + "-" + std::to_string(++number);
  const int fd = ::shm_open(name.c_str(), O_CREAT | O_EXCL | O_RDWR, 0600);
  if (fd >= 0) ::close(fd);
  return name;
}

void end_segment(const std::string& name) {
  if (!name.empty()) ::shm_unlink(name.c_str());
}

}  // namespace mutant
