// What groups may leave on the machine and in the process beside threads and descriptors.
#pragma once

#include <string>
#include <vector>

namespace weft::conformance {

// Mappings of this process that other processes may have too: "/dev/shm/x", "/memfd:x (deleted)", "/dev/zero (deleted)". Sorted.
std::vector<std::string> shared_mappings();

// Names in /dev/shm, sorted.
std::vector<std::string> shared_memory_files();
// Those of now that were not there `before` and that no process has mapped or open: nobody will remove them any more.
std::vector<std::string> orphaned_since(const std::vector<std::string>& before);

// Bytes in use by malloc.
std::size_t allocated_bytes();

}  // namespace weft::conformance
