#include "inspect/greenlets/cpython_extension.hpp"

#include <algorithm>

#include "inspect/target/dynamic_symbols.hpp"
#include "inspect/target/elf_reader.hpp"

namespace coppice::inspect {
namespace {

constexpr std::uint64_t before_first_function = 16;  // Itanium C++ ABI: offset to top, type information

Address vtable(const DynamicSymbols& symbols, std::string_view name) {
  const auto found = symbols.find(name);
  return found ? found->address + before_first_function : 0;
}

std::uint64_t thread_local_size(const Memory& memory, const Module& module) {
  constexpr std::uint32_t most_segments = 1024;
  const auto elf = read_elf_headers(memory, module.start, most_segments);
  if (!elf.ok()) return 0;
  const auto segment = std::ranges::find(elf->segments, std::uint32_t{PT_TLS}, &Elf64_Phdr::p_type);
  return segment != elf->segments.end() ? segment->p_memsz : 0;
}

}  // namespace

std::vector<GreenletExtension> find_greenlet_extensions(const Target& target) {
  std::vector<GreenletExtension> extensions;
  for (const Module& module : target.modules()) {
    const auto symbols = DynamicSymbols::find_tables(target.memory(), module);
    if (!symbols.ok()) continue;
    const auto type = symbols->find("PyGreenlet_Type");
    // The second is the module's name before 1.0.
    if (!type || (!symbols->find("PyInit__greenlet") && !symbols->find("PyInit_greenlet"))) continue;
    GreenletExtension extension;
    extension.module = module;
    extension.type = type->address;
    extension.user_vtable = vtable(*symbols, "_ZTVN8greenlet12UserGreenletE");
    extension.main_vtable = vtable(*symbols, "_ZTVN8greenlet12MainGreenletE");
    extension.broken_vtable = vtable(*symbols, "_ZTVN8greenlet14BrokenGreenletE");
    extension.thread_local_size = thread_local_size(target.memory(), module);
    extensions.push_back(std::move(extension));
  }
  return extensions;
}

}  // namespace coppice::inspect
