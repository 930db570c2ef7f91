#include "inspect/greenlets/cpython_extension.hpp"

#include "inspect/target/dynamic_symbols.hpp"

namespace coppice::inspect {
namespace {

constexpr std::uint64_t before_first_function = 16;  // Itanium C++ ABI: offset to top, type information

Address vtable(const DynamicSymbols& symbols, std::string_view name) {
  const auto found = symbols.find(name);
  return found ? found->address + before_first_function : 0;
}

}  // namespace

std::vector<GreenletExtension> find_greenlet_extensions(const Target& target) {
  std::vector<GreenletExtension> extensions;
  for (const Module& module : target.modules()) {
    const auto symbols = DynamicSymbols::find_tables(target.memory(), module);
    if (!symbols.ok()) continue;
    const auto type = symbols->find("PyGreenlet_Type");
    if (!type || !symbols->find("PyInit__greenlet")) continue;
    GreenletExtension extension;
    extension.module = module;
    extension.type = type->address;
    extension.user_vtable = vtable(*symbols, "_ZTVN8greenlet12UserGreenletE");
    extension.main_vtable = vtable(*symbols, "_ZTVN8greenlet12MainGreenletE");
    extension.broken_vtable = vtable(*symbols, "_ZTVN8greenlet14BrokenGreenletE");
    extensions.push_back(std::move(extension));
  }
  return extensions;
}

}  // namespace coppice::inspect
