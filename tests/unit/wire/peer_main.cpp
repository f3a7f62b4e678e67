// wire_test_peer ENDPOINT TOKEN RANK: a dialer in a process of its own. It ends when stdin does, or when it is killed.
#include <cstdio>
#include <cstdlib>

#include "core/wire/link.h"

namespace {

class Silent : public weft::wire::DialerHandler {
 public:
  void on_message(const weft::wire::Envelope&) override {}
  void on_down(const weft::Error&) override {}
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  Silent handler;
  const auto dialer = weft::wire::Dialer::dial(
      {.name = "peer", .endpoint = argv[1], .token = argv[2], .rank = std::atoi(argv[3]), .limits = {}, .log = {}},
      handler, weft::Deadline::in(std::chrono::seconds(60)));
  if (!dialer) return 1;
  std::puts("open");
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  return 0;
}
