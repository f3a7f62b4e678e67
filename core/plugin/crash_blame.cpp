#include "core/plugin/crash_blame.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <link.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <string_view>

#include "core/plugin/crash_note.h"

namespace weft {
namespace {

// What the handler reads.
std::atomic<pid_t> blamed{0};  // the process that has a CrashBlame
crash_detail::Dispositions dispositions;

// All below is called in the handler: it takes no memory and no lock.

class Line {
 public:
  void add(std::string_view text) {
    const std::size_t size = std::min(text.size(), text_.size() - size_);
    std::copy_n(text.begin(), size, text_.begin() + static_cast<std::ptrdiff_t>(size_));
    size_ += size;
  }
  std::string_view text() const { return {text_.data(), size_}; }

 private:
  std::array<char, 1024> text_{};
  std::size_t size_ = 0;
};

// The file's name of what an address of code belongs to; empty: the program itself, or nobody knows.
std::string_view library_of(void* address) {
  dl_find_object found{};
  if (::_dl_find_object(address, &found) != 0) return {};
  const std::string_view path(found.dlfo_link_map->l_name);
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

constexpr std::string_view plugin_prefix = "libweft-";
bool is_plugin(std::string_view library) { return library.starts_with(plugin_prefix); }

// What others call to end the process, or to be called in a thread.
bool is_runtime(std::string_view library) {
  constexpr std::array<std::string_view, 5> names{"libc.so", "libstdc++.so", "libgcc_s.so", "libasan.so", "libtsan.so"};
  return std::any_of(names.begin(), names.end(), [&](std::string_view name) { return library.starts_with(name); });
}

void add_name(Line& line, std::string_view library) {
  if (library.empty()) return line.add("weft itself");
  if (!is_plugin(library)) return line.add(library);
  // libweft-KIND-NAME.so, which a stage has checked; a kind has no '-'.
  std::string_view name = library.substr(plugin_prefix.size());
  name = name.substr(0, name.rfind(".so"));
  const std::size_t dash = name.find('-');
  line.add("plugin ");
  line.add(name.substr(0, dash));
  if (dash == std::string_view::npos) return;
  line.add("/");
  line.add(name.substr(dash + 1));
}

void tell(int signal) {
  std::array<void*, 64> frames{};
  const auto last = frames.begin() + ::backtrace(frames.data(), static_cast<int>(frames.size()));
  const auto runtime = [](void* frame) { return is_runtime(library_of(frame)); };
  // Up to where the kernel returns to lie this handler's own.
  const auto first = std::find_if(frames.begin(), last, runtime);
  const auto crashed = std::find_if_not(first, last, runtime);
  const auto plugin = std::find_if(first, last, [](void* frame) { return is_plugin(library_of(frame)); });
  Line line;
  line.add("weft: the process crashed in ");
  if (crashed == last)
    line.add("a thread whose stack says nothing");
  else
    add_name(line, library_of(*crashed));
  if (plugin != last && plugin != crashed) {
    line.add(", called by ");
    add_name(line, library_of(*plugin));
  }
  line.add(": ");
  line.add(crash_detail::signal_text(signal));
  crash_detail::write_all(line.text());
}

void handle(int signal) {
  if (blamed.load() == ::getpid() && !crash_detail::spoken.load()) tell(signal);
  dispositions.pass_on(signal);
}

}  // namespace

CrashBlame::CrashBlame() {
  std::array<void*, 1> frame{};
  (void)::backtrace(frame.data(), 1);  // the first time loads what unwinds, and takes memory
  // A stack in ruins may not be read: then that is the end, without a second word.
  dispositions.take(&handle, true);
  blamed = ::getpid();
}

CrashBlame::~CrashBlame() {
  blamed = 0;
  dispositions.give_back(&handle);
}

}  // namespace weft
