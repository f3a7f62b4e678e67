// What ranks and a case say to each other over a socket: lists of strings, any bytes in them.
#pragma once

#include <string>
#include <vector>

#include "weft/status.h"
#include "weft/time.h"

namespace weft::conformance::ex {

using Words = std::vector<std::string>;

// unavailable: the other side has gone.
Status send_words(int socket, const Words& words);
// unavailable: the other side has gone; deadline_exceeded.
Result<Words> receive_words(int socket, Deadline deadline);

// A stream socket whose address is a path of any length: a socket's own may have 107 bytes. The sockets do not outlive
// an exec.
Result<int> listen_at(const std::string& path);
Result<int> connect_to(const std::string& path);

}  // namespace weft::conformance::ex
