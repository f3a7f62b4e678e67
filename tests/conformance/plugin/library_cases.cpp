// The ELF file: read, not run.
#include <elf.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include "tests/conformance/harness/context.h"
#include "tests/conformance/plugin/groups.h"

namespace weft::conformance {
namespace {

// A 64-bit library that the loader has already found whole. Reads outside the file fail the case.
class Elf {
 public:
  explicit Elf(Context& context) : context_(context) {
    std::ifstream file(context.setup().plugin_file, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    bytes_ = text.str();
    header_ = at<Elf64_Ehdr>(0);
    context.expect(std::memcmp(header_.e_ident, ELFMAG, SELFMAG) == 0 && header_.e_ident[EI_CLASS] == ELFCLASS64,
                   "not a 64-bit ELF file");
  }

  std::vector<Elf64_Phdr> segments() const { return table<Elf64_Phdr>(header_.e_phoff, header_.e_phnum); }
  std::vector<Elf64_Shdr> sections() const { return table<Elf64_Shdr>(header_.e_shoff, header_.e_shnum); }
  template <class Entry>
  std::vector<Entry> entries(const Elf64_Shdr& section) const {
    return table<Entry>(section.sh_offset, section.sh_size / sizeof(Entry));
  }
  const Elf64_Shdr* section(const std::vector<Elf64_Shdr>& all, Elf64_Word type) const {
    for (const Elf64_Shdr& one : all)
      if (one.sh_type == type) return &one;
    return nullptr;
  }
  std::string text(const Elf64_Shdr& strings, std::uint64_t offset) const {
    const std::uint64_t begin = strings.sh_offset + offset;
    context_.expect(begin < bytes_.size(), "a string lies outside the file");
    return bytes_.c_str() + begin;  // ends within the file: std::string puts an end behind it
  }
  // The strings of all dynamic entries of a tag.
  std::vector<std::string> dynamic_texts(Elf64_Sxword tag) const {
    std::vector<std::string> found;
    const std::vector<Elf64_Shdr> all = sections();
    const Elf64_Shdr* const dynamic = section(all, SHT_DYNAMIC);
    if (dynamic == nullptr || dynamic->sh_link >= all.size()) return found;
    for (const Elf64_Dyn& entry : entries<Elf64_Dyn>(*dynamic))
      if (entry.d_tag == tag) found.push_back(text(all[dynamic->sh_link], entry.d_un.d_val));
    return found;
  }
  bool has_dynamic(Elf64_Sxword tag, std::uint64_t bit = 0) const {
    const std::vector<Elf64_Shdr> all = sections();
    const Elf64_Shdr* const dynamic = section(all, SHT_DYNAMIC);
    if (dynamic == nullptr) return false;
    for (const Elf64_Dyn& entry : entries<Elf64_Dyn>(*dynamic))
      if (entry.d_tag == tag && (bit == 0 || (entry.d_un.d_val & bit) != 0)) return true;
    return false;
  }

 private:
  template <class Entry>
  Entry at(std::uint64_t offset) const {
    Entry entry{};
    context_.expect(offset <= bytes_.size() && sizeof entry <= bytes_.size() - offset, "the file ends too early");
    std::memcpy(&entry, bytes_.data() + offset, sizeof entry);
    return entry;
  }
  template <class Entry>
  std::vector<Entry> table(std::uint64_t offset, std::uint64_t count) const {
    context_.expect(count <= bytes_.size() / sizeof(Entry), "a table is larger than the file");
    std::vector<Entry> all;
    for (std::uint64_t index = 0; index < count; ++index)
      all.push_back(at<Entry>(offset + index * sizeof(Entry)));
    return all;
  }

  Context& context_;
  std::string bytes_;
  Elf64_Ehdr header_{};
};

// Weak and unique symbols are let be: templates of the standard library are merged over the process on purpose.
void exports_one_symbol(Context& context) {
  const Elf elf(context);
  const std::vector<Elf64_Shdr> sections = elf.sections();
  const Elf64_Shdr* const symbols = elf.section(sections, SHT_DYNSYM);
  context.expect(symbols != nullptr && symbols->sh_link < sections.size(), "no dynamic symbols");
  std::string others;
  for (const Elf64_Sym& symbol : elf.entries<Elf64_Sym>(*symbols)) {
    if (symbol.st_shndx == SHN_UNDEF || ELF64_ST_BIND(symbol.st_info) != STB_GLOBAL) continue;
    const std::string name = elf.text(sections[symbols->sh_link], symbol.st_name);
    const bool sanitizer = name.find("asan") != std::string::npos || name.find("tsan") != std::string::npos;
    if (name != "weft_plugin" && !sanitizer) others += (others.empty() ? "" : ", ") + name;
  }
  context.expect(others.empty(), "it exports more than weft_plugin: " + others.substr(0, 400));
}

void needs_no_other_runtime(Context& context) {
  for (const std::string& library : Elf(context).dynamic_texts(DT_NEEDED))
    context.expect(library.find("libc++") == std::string::npos, "it needs a second C++ library: " + library);
}

void stack_is_not_executable(Context& context) {
  bool said = false;
  for (const Elf64_Phdr& segment : Elf(context).segments()) {
    if (segment.p_type != PT_GNU_STACK) continue;
    said = true;
    context.expect((segment.p_flags & PF_X) == 0, "it asks for an executable stack");
  }
  context.expect(said, "it does not say whether it needs an executable stack, so the linker gives it one");
}

void search_paths_are_safe(Context& context) {
  const Elf elf(context);
  std::vector<std::string> paths = elf.dynamic_texts(DT_RPATH);
  for (std::string& path : elf.dynamic_texts(DT_RUNPATH))
    paths.push_back(std::move(path));
  for (const std::string& path : paths) {
    std::stringstream parts(path);
    for (std::string part; std::getline(parts, part, ':');) {
      const bool origin = part.starts_with("$ORIGIN") || part.starts_with("${ORIGIN}");
      context.expect(origin || part.starts_with("/"),
                     fmt::format("its run path '{}' holds '{}', which depends on the working directory", path, part));
      struct stat info {};
      const bool writable = !origin && ::stat(part.c_str(), &info) == 0 && (info.st_mode & S_IWOTH) != 0;
      context.expect(!writable, fmt::format("its run path holds {}, which everybody may write to", part));
    }
    context.expect(!path.empty() && path.back() != ':', fmt::format("its run path '{}' has an empty part", path));
  }
}

void code_is_not_written(Context& context) {
  const Elf elf(context);
  context.expect(!elf.has_dynamic(DT_TEXTREL) && !elf.has_dynamic(DT_FLAGS, DF_TEXTREL),
                 "its code is written to when it is loaded: build it with -fPIC");
}

}  // namespace

std::vector<Case> library_cases() {
  return {
      {"PL-70", Level::must, "", "1", "the library exports weft_plugin and no other strong symbol",
       "Two plugins of one process must not see each other's functions.", exports_one_symbol},
      {"PL-71", Level::must, "", "1", "the library needs no second C++ library",
       "Strings and exceptions cross the boundary.", needs_no_other_runtime},
      {"PL-72", Level::must, "", "1", "the library asks for no executable stack",
       "One such library makes the stacks of the whole process executable.", stack_is_not_executable},
      {"PL-73", Level::must, "", "1", "run paths are absolute or $ORIGIN, and not everybody's to write",
       "Whoever can put a library there owns the process.", search_paths_are_safe},
      {"PL-74", Level::must, "", "1", "the library's code is not written to while it is loaded",
       "Code that is written to is shared by no two processes, and refused where memory is hardened.",
       code_is_not_written},
  };
}

}  // namespace weft::conformance
