#include "core/plugin/elf.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <link.h>
#include <unistd.h>

#include <cstring>
#include <vector>

namespace weft {
namespace {

// Elf.h, "ELF-64 Object File Format" 1.5; ElfW() is the word size of this process.
using Header = ElfW(Ehdr);
using Segment = ElfW(Phdr);
using Section = ElfW(Shdr);
using Symbol = ElfW(Sym);

constexpr std::uint64_t largest_table = std::uint64_t{256} << 20;

tl::unexpected<Error> refused(std::string message) { return fail(ErrorCode::refused, std::move(message)); }

tl::unexpected<Error> truncated(std::string_view part, const PluginFile& file) {
  return refused(fmt::format(
      "its {} lies beyond the file's end ({} bytes): truncated or damaged; build or copy it again", part, file.size()));
}

// The header of the running program says what machine this is.
Result<Header> own_header() {
  WEFT_ASSIGN(self, PluginFile::open("/proc/self/exe", false));
  Header header{};
  WEFT_TRY(self.read(0, &header, sizeof header));
  return header;
}

Result<Header> read_header(const PluginFile& file) {
  Header header{};
  if (file.size() < SELFMAG || !file.read(0, header.e_ident, SELFMAG) ||
      std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
    return refused(fmt::format("it is not an ELF file ({} bytes); expected a shared library", file.size()));
  if (!file.read(0, &header, sizeof header)) return truncated("ELF header", file);
  return header;
}

Status check_machine(const Header& found, const Header& own) {
  if (found.e_ident[EI_CLASS] != own.e_ident[EI_CLASS] || found.e_ident[EI_DATA] != own.e_ident[EI_DATA] ||
      found.e_machine != own.e_machine)
    return refused(
        fmt::format("it is built for another machine (ELF class {}, data {}, machine {}); expected {}, {}, {}; "
                    "build it for this one",
                    found.e_ident[EI_CLASS], found.e_ident[EI_DATA], found.e_machine, own.e_ident[EI_CLASS],
                    own.e_ident[EI_DATA], own.e_machine));
  if (found.e_type != ET_DYN)
    return refused(fmt::format("its ELF type is {}; expected a shared library ({})", found.e_type, ET_DYN));
  return {};
}

// `count` records of T at `offset`; each table lies inside the file before memory is taken for it.
template <class T>
Result<std::vector<T>> read_table(const PluginFile& file, std::uint64_t offset, std::uint64_t count,
                                  std::string_view what) {
  if (count > largest_table / sizeof(T) || offset > file.size() || count * sizeof(T) > file.size() - offset)
    return truncated(what, file);
  std::vector<T> table(count);
  if (!file.read(offset, table.data(), count * sizeof(T))) return truncated(what, file);
  return table;
}

Status check_segments(const PluginFile& file, const Header& header) {
  if (header.e_phentsize != sizeof(Segment)) return refused("its program headers have an unknown size; damaged");
  WEFT_ASSIGN(segments, read_table<Segment>(file, header.e_phoff, header.e_phnum, "program header table"));
  bool loads = false;
  bool links = false;
  for (const Segment& segment : segments) {
    loads = loads || segment.p_type == PT_LOAD;
    links = links || segment.p_type == PT_DYNAMIC;
    if (segment.p_type == PT_LOAD &&
        (segment.p_offset > file.size() || segment.p_filesz > file.size() - segment.p_offset))
      return truncated("loadable segment", file);
  }
  if (!loads || !links || header.e_phnum == PN_XNUM)
    return refused("its program headers name nothing to load and to link; damaged, build or copy it again");
  return {};
}

bool is_exported_function(const Symbol& symbol) {
  // The macros of elf.h are the same for both classes.
  const auto binding = ELF64_ST_BIND(symbol.st_info);
  return symbol.st_shndx != SHN_UNDEF && (binding == STB_GLOBAL || binding == STB_WEAK) &&
         ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && ELF64_ST_VISIBILITY(symbol.st_other) == STV_DEFAULT;
}

Result<bool> exports(const PluginFile& file, const Section& table, const Section& names, std::string_view name) {
  WEFT_ASSIGN(symbols, read_table<Symbol>(file, table.sh_offset, table.sh_size / sizeof(Symbol), "symbol table"));
  WEFT_ASSIGN(strings, read_table<char>(file, names.sh_offset, names.sh_size, "symbol names"));
  for (const Symbol& symbol : symbols) {
    const std::size_t at = symbol.st_name;
    if (!is_exported_function(symbol) || at >= strings.size() || strings.size() - at <= name.size()) continue;
    if (std::memcmp(strings.data() + at, name.data(), name.size()) == 0 && strings[at + name.size()] == '\0')
      return true;
  }
  return false;
}

}  // namespace

Status check_exports(const PluginFile& file, std::string_view symbol) {
  WEFT_ASSIGN(header, read_header(file));
  WEFT_ASSIGN_CONTEXT(own, own_header(), "/proc/self/exe");
  WEFT_TRY(check_machine(header, own));
  WEFT_TRY(check_segments(file, header));
  if (header.e_shnum == 0 || header.e_shentsize != sizeof(Section))
    return refused("it has no section headers, so its symbols cannot be read; link it without stripping them");
  WEFT_ASSIGN(sections, read_table<Section>(file, header.e_shoff, header.e_shnum, "section header table"));
  for (const Section& section : sections) {
    if (section.sh_type != SHT_DYNSYM || section.sh_link >= sections.size()) continue;
    WEFT_ASSIGN(found, exports(file, section, sections[section.sh_link], symbol));
    if (found) return {};
  }
  return refused(
      fmt::format("it does not export '{}'; a plugin has WEFT_PLUGIN(...) of <weft/plugin.h> once, outside any "
                  "namespace",
                  symbol));
}

}  // namespace weft
