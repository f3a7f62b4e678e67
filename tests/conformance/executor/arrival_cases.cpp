// What a rank finds when it starts.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "tests/conformance/executor/bench.h"
#include "tests/conformance/executor/groups.h"

namespace weft::conformance::ex {
namespace {

const std::vector<std::string> odd_texts = {"",
                                            " ",
                                            "two words",
                                            "tab\tnew\nline\r",
                                            "'single' \"double\" `back`",
                                            "$HOME ${HOME} $(id) %s %d",
                                            "a;b&c|d<e>f*?[g]~!#",
                                            "back\\slash\\",
                                            "--flag=value",
                                            "gr\xc3\xbc\xc3\x9f \xe6\xbc\xa2 \xf0\x9f\xa7\xb5",
                                            "\x01\x7f"};

// The first byte that differs, for texts too long to print.
std::string difference(const std::string& got, const std::string& sent) {
  const auto at = std::mismatch(got.begin(), got.end(), sent.begin(), sent.end()).first - got.begin();
  return fmt::format("{} bytes, sent were {}; they differ at byte {}", got.size(), sent.size(), at);
}

void arguments_are_verbatim(Context& context) {
  const Bench bench(context);
  const GangId gang{"g", 1};
  const GangSpec spec{.gang = gang, .ranks = {bench.post().rank_spec(gang, 0, odd_texts)}};
  const Words got = bench.start(spec)[0]->ask({"arguments"});
  const Words sent(spec.ranks[0].argv.begin() + 2, spec.ranks[0].argv.end());
  context.expect(got.size() == sent.size(), fmt::format("{} arguments arrived of {}", got.size(), sent.size()));
  for (std::size_t index = 0; index < sent.size(); ++index)
    context.expect(got[index] == sent[index],
                   fmt::format("argument {} is '{}', sent was '{}'", index, got[index], sent[index]));
}

// The values of a variable in an environment: more than one if it is there twice.
std::vector<std::string> values_of(const Words& environment, const std::string& name) {
  std::vector<std::string> values;
  for (const std::string& variable : environment)
    if (variable.starts_with(name + "=")) values.push_back(variable.substr(name.size() + 1));
  return values;
}

void environment_is_verbatim(Context& context) {
  const Bench bench(context);
  GangSpec spec = bench.gang({"g", 1}, 2);
  std::vector<std::pair<std::string, std::string>> sent;
  for (std::size_t index = 0; index < odd_texts.size(); ++index)
    sent.emplace_back(fmt::format("ODD_{}", index), odd_texts[index]);
  sent.emplace_back("lower.case-name", "kept");
  spec.ranks[0].env.insert(spec.ranks[0].env.end(), sent.begin(), sent.end());
  const std::vector<Peer*> peers = bench.start(spec);
  const Words got = peers[0]->ask({"environment"});
  for (const auto& [name, value] : sent) {
    const std::vector<std::string> values = values_of(got, name);
    context.expect(values == std::vector<std::string>{value},
                   fmt::format("{} is '{}', sent was '{}'", name, fmt::join(values, "' and '"), value));
  }
  context.expect(values_of(peers[1]->ask({"environment"}), "ODD_0").empty(),
                 "a rank has a variable of another rank's spec");
}

void environment_is_added(Context& context) {
  const Bench bench(context);
  GangSpec spec = bench.gang({"g", 1}, 2);
  spec.ranks[0].env.emplace_back("PATH", "/of/the/spec");
  const std::vector<Peer*> peers = bench.start(spec);
  const std::vector<std::string> replaced = values_of(peers[0]->ask({"environment"}), "PATH");
  context.expect(replaced == std::vector<std::string>{"/of/the/spec"},
                 fmt::format("PATH is '{}', sent was '/of/the/spec'", fmt::join(replaced, "' and '")));
  const std::vector<std::string> own = values_of(peers[1]->ask({"environment"}), "PATH");
  context.expect(own.size() == 1 && own[0] != "/of/the/spec",
                 fmt::format("a rank whose spec says nothing of PATH has {} of them", own.size()));
}

void long_texts_arrive(Context& context) {
  const Bench bench(context);
  std::string text(100'000, 'x');
  for (std::size_t index = 0; index < text.size(); index += 7)
    text[index] = static_cast<char>('a' + index % 26);
  const GangId gang{"g", 1};
  GangSpec spec{.gang = gang, .ranks = {bench.post().rank_spec(gang, 0, {text})}};
  spec.ranks[0].env.emplace_back("LONG", text);
  Peer& peer = *bench.start(spec)[0];
  const std::string argument = peer.ask({"arguments"}).back();
  context.expect(argument == text, "an argument arrived with " + difference(argument, text));
  const std::vector<std::string> values = values_of(peer.ask({"environment"}), "LONG");
  context.expect(values.size() == 1, "a variable of 100,000 bytes did not arrive");
  context.expect(values[0] == text, "a variable arrived with " + difference(values[0], text));
}

void input_is_empty(Context& context) {
  const Bench bench(context);
  // Something that would be read, were the case's own input handed on.
  int ends[2] = {-1, -1};
  (void)!::pipe2(ends, O_CLOEXEC);
  (void)!::write(ends[1], "secret", 6);
  const int own = ::dup(0);
  ::dup2(ends[0], 0);
  const Words input = bench.start(bench.gang({"g", 1}, 1))[0]->ask({"input"});
  ::dup2(own, 0);
  context.expect(input == Words{"end", ""},
                 fmt::format("a rank's standard input is {}, expected its end at once", fmt::join(input, " ")));
}

void no_descriptors_are_inherited(Context& context) {
  // The head's own: some of a library that knows nothing of O_CLOEXEC, low and high.
  const int low = ::open("/dev/null", O_RDONLY);
  const int high = ::fcntl(low, F_DUPFD, 500);
  const Bench bench(context);
  const Words open = bench.start(bench.gang({"g", 1}, 2))[1]->ask({"descriptors"});
  ::close(low);
  ::close(high);
  std::set<std::string> numbers;
  for (const std::string& one : open) {
    numbers.insert(one.substr(0, one.find(' ')));
    context.expect(one[0] <= '2' && one[1] == ' ', fmt::format("a rank has descriptor {}", one));
  }
  context.expect(numbers == std::set<std::string>{"0", "1", "2"}, "a rank lacks one of its standard descriptors");
}

void signals_are_plain(Context& context) {
  // As in a head that ignores some and waits for others in a thread of its own.
  for (const int ignored : {SIGPIPE, SIGHUP, SIGUSR2, SIGINT})
    ::signal(ignored, SIG_IGN);
  sigset_t set;
  sigemptyset(&set);
  for (const int blocked : {SIGTERM, SIGINT, SIGUSR1, SIGRTMIN + 3})
    sigaddset(&set, blocked);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  const Bench bench(context);
  const Words masks = bench.start(bench.gang({"g", 1}, 1))[0]->ask({"signals"});
  const std::string none(16, '0');
  context.expect(masks[0] == none, "a rank begins with signals blocked: SigBlk " + masks[0]);
  context.expect(masks[1] == none, "a rank begins with signals ignored: SigIgn " + masks[1]);
}

void process_groups_are_their_own(Context& context) {
  const Bench bench(context);
  std::set<std::string> groups = {std::to_string(::getpgrp())};
  for (Peer* const peer : bench.start(bench.gang({"g", 1}, 3))) {
    const std::string group = peer->ask({"group"})[0];
    context.expect(groups.insert(group).second,
                   fmt::format("{} is in process group {}, with another rank or the head", peer->name(), group));
  }
}

const Case arrival_rules[] = {
    {"EX-40", Level::must, "", "1",
     "arguments arrive verbatim: empty ones, spaces, quotes, newlines, what a shell would expand, UTF-8",
     "Nothing passes through a shell.", arguments_are_verbatim},
    {"EX-41", Level::must, "", "1", "a rank's variables arrive verbatim, and only with it",
     "Nothing passes through a shell.", environment_is_verbatim},
    {"EX-42", Level::must, "", "1",
     "a rank's variables are added to the executor's own and replace those of the same name",
     "Programs need PATH and HOME; a variable that is there twice means either.", environment_is_added},
    {"EX-43", Level::must, "", "1", "arguments and variables of 100,000 bytes arrive whole",
     "A plan of many ranks is one argument.", long_texts_arrive},
    {"EX-44", Level::must, "", "1", "a rank's standard input is open and empty",
     "A rank that reads the head's input takes the user's words.", input_is_empty},
    {"EX-45", Level::must, "", "1", "a rank has descriptors 0, 1 and 2 and no others, whatever the head has open",
     "An inherited socket keeps a port, an inherited pipe an end of file from coming.", no_descriptors_are_inherited},
    {"EX-46", Level::must, "", "1",
     "a rank begins with no signal blocked or ignored, whatever the head does with its own",
     "A worker that does not hear TERM is killed instead of ending.", signals_are_plain},
    {"EX-47", Level::must, "", "1", "each rank has a process group of its own",
     "A terminal's interrupt is the head's to handle, and stop() signals a group.", process_groups_are_their_own},
};

}  // namespace

std::span<const Case> arrival_cases() { return arrival_rules; }

}  // namespace weft::conformance::ex
