// wire_test_peer dial ENDPOINT TOKEN: a dialer of rank 6 in a process of its own. wire_test_peer listen TOKEN: a listener,
// which prints its endpoint. Either ends when stdin does, or when it is killed.
#include <cstdio>
#include <memory>
#include <string>

#include "core/wire/link.h"

namespace {

class Silent : public weft::wire::DialerHandler, public weft::wire::ListenerHandler {
 public:
  weft::Status on_open(const weft::wire::Peer&) override { return {}; }
  void on_message(const weft::wire::Envelope&) override {}
  void on_message(const weft::wire::Peer&, const weft::wire::Envelope&) override {}
  void on_down(const weft::Error&) override {}
  void on_down(const weft::wire::Peer&, const weft::Error&) override {}
};

void wait_for_end_of_input() {
  while (std::getchar() != EOF) {
  }
}

}  // namespace

int main(int argc, char** argv) {
  Silent handler;
  if (argc == 4 && argv[1] == std::string("dial")) {
    const auto dialer = weft::wire::Dialer::dial({.name = "peer", .endpoint = argv[2], .token = argv[3], .rank = 6},
                                                 handler, weft::Deadline::in(std::chrono::seconds(60)));
    if (!dialer) return 1;
    wait_for_end_of_input();
    return 0;
  }
  if (argc == 3 && argv[1] == std::string("listen")) {
    const auto listener = weft::wire::Listener::bind({.name = "peer", .token = argv[2]}, handler);
    if (!listener) return 1;
    std::puts((*listener)->endpoint().c_str());
    std::fflush(stdout);
    wait_for_end_of_input();
    return 0;
  }
  return 2;
}
