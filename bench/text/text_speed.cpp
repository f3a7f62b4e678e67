// Our half of bench/text/compare.py: prepares one workload, then runs it once for each line on standard input and prints the
// processor time that this took, in seconds. Processor time, since others may be busy on the machine.
//
//   text_speed tokenize DIR FILE      the documents of FILE, a JSON string a line
//   text_speed template FOLDER        the cases of every template in FOLDER (goldens/chat_templates)
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "text/chat/chat_template.h"
#include "text/json.h"
#include "text/tokenizer/tokenizer.h"

namespace weft::text {
namespace {

double processor_seconds() {
  timespec now{};
  (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// One pass; a number that must not be thrown away, and that both halves can compare: tokens, or bytes of text.
using Workload = std::function<std::size_t()>;

Result<Workload> tokenize(const std::string& directory, const std::string& file) {
  WEFT_ASSIGN(tokenizer, Tokenizer::load(directory));
  std::vector<std::string> documents;
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    WEFT_ASSIGN(document, parse_json(line));
    documents.push_back(document.get<std::string>());
  }
  return Workload([tokenizer = tokenizer, documents = std::move(documents)] {
    std::size_t tokens = 0;
    for (const std::string& document : documents)
      tokens += tokenizer->encode(document, false)->size();
    return tokens;
  });
}

struct Conversation {
  ChatFormat format;
  OrderedJson messages, tools;
  bool add_generation_prompt = false;
  RenderLimits limits;
};

Result<Workload> render(const std::string& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<Conversation> conversations;
  for (const auto& file : files) {
    WEFT_ASSIGN(source, read_file(file.string(), 64u << 20));
    WEFT_ASSIGN(golden, parse_ordered_json(source));
    WEFT_ASSIGN(compiled, ChatTemplate::compile(golden.at("template").get<std::string>()));
    ChatFormat format{.chat_template = compiled};
    for (const char* token : {"bos_token", "eos_token"})
      if (golden.contains(token)) format.special_tokens[token] = golden.at(token);
    for (const auto& example : golden.at("cases"))
      if (!example.contains("raises"))
        conversations.push_back({.format = format,
                                 .messages = example.at("messages"),
                                 .tools = example.at("tools"),
                                 .add_generation_prompt = example.at("add_generation_prompt").get<bool>(),
                                 .limits = {.now = std::tm{.tm_mday = 14, .tm_mon = 2, .tm_year = 125}}});
  }
  return Workload([conversations = std::move(conversations)] {
    std::size_t bytes = 0;
    for (const Conversation& one : conversations)
      bytes += one.format.render(one.messages, one.tools, one.add_generation_prompt, OrderedJson::object(), one.limits)
                   .value()
                   .size();
    return bytes;
  });
}

int serve(const Result<Workload>& workload) {
  if (!workload) {
    fmt::print(stderr, "text_speed: {}\n", workload.error().message);
    return 1;
  }
  for (std::string line; std::getline(std::cin, line);) {
    const double start = processor_seconds();
    const std::size_t count = (*workload)();
    std::cout << fmt::format("{:.6f} {}", processor_seconds() - start, count) << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace weft::text

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() == 3 && arguments[0] == "tokenize")
    return weft::text::serve(weft::text::tokenize(arguments[1], arguments[2]));
  if (arguments.size() == 2 && arguments[0] == "template") return weft::text::serve(weft::text::render(arguments[1]));
  fmt::print(stderr, "usage: text_speed tokenize DIR FILE | template FOLDER\n");
  return 2;
}
