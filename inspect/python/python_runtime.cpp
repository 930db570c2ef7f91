#include "inspect/python/python_runtime.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "inspect/python/python_version.hpp"
#include "inspect/target/dynamic_symbols.hpp"

namespace coppice::inspect {
namespace {

/// Symbols as the dynamic linker binds them: one that the main program has a copy of (a copy relocation) is
/// the main program's.
class Symbols {
 public:
  Symbols(const DynamicSymbols& own, const std::optional<DynamicSymbols>& main) : own_(own), main_(main) {}

  Address find(std::string_view name) const {
    if (main_) {
      if (const auto copied = main_->find(name)) return copied->address;
    }
    const auto symbol = own_.find(name);
    return symbol ? symbol->address : 0;
  }

 private:
  const DynamicSymbols& own_;
  const std::optional<DynamicSymbols>& main_;
};

Error refusal(ErrorCode code, const PythonRuntime& python, const std::string& why) {
  return {code, python.runtime,
          fmt::format("the CPython in {} is not read: {}",
                      python.module.empty() ? std::string("a module without a name") : python.module, why)};
}

/// What _Py_DebugOffsets has before and in each of its groups, as u64 from _PyRuntime on (Include/internal/
/// pycore_runtime.h in 3.13, pycore_debug_offsets.h since). It may change with every minor version.
struct PublishedIndexes {
  std::uint8_t thread, thread_id, frame, code;  ///< where these groups begin, each with its size; and a field
};
constexpr std::size_t published_words = 64;
constexpr std::size_t free_threaded_index = 2, interpreters_head_index = 5, interpreter_index = 6;

std::optional<PublishedIndexes> published_indexes(PythonVersion version) {
  if (version.minor() == 13) return PublishedIndexes{19, 24, 28, 34};
  if (version.minor() == 14) return PublishedIndexes{22, 27, 31, 39};
  if (version.minor() == 15) return PublishedIndexes{22, 30, 39, 47};
  return std::nullopt;
}

using PublishedWords = std::array<std::uint64_t, published_words>;

std::uint16_t offset_at(const PublishedWords& words, std::size_t index) {
  return words[index] <= UINT16_MAX ? static_cast<std::uint16_t>(words[index]) : 0;
}

/// Takes over what may move between two patch releases, and compares what may not.
bool take_over(PythonLayout& layout, const PublishedWords& words, const PublishedIndexes& at) {
  layout.runtime.interpreters_head = offset_at(words, interpreters_head_index);
  layout.interpreter.id = offset_at(words, interpreter_index + 1);
  layout.interpreter.next = offset_at(words, interpreter_index + 2);
  layout.interpreter.threads_head = offset_at(words, interpreter_index + 3);
  layout.thread.next = offset_at(words, at.thread + 2U);
  layout.thread.interp = offset_at(words, at.thread + 3U);
  layout.thread.frame = offset_at(words, at.thread + 4U);
  layout.thread.thread_id = offset_at(words, at.thread_id);
  layout.thread.native_thread_id = offset_at(words, at.thread_id + 1U);
  const std::pair<std::size_t, std::uint64_t> fixed[] = {
      {at.frame + 1U, layout.frame.previous},    {at.frame + 2U, layout.frame.code},
      {at.frame + 3U, layout.frame.instruction}, {at.frame + 4U, layout.frame.locals},
      {at.frame + 5U, layout.frame.owner},       {at.code + 1U, layout.code.file},
      {at.code + 2U, layout.code.name},          {at.code + 3U, layout.code.qualified_name},
      {at.code + 4U, layout.code.line_table},    {at.code + 5U, layout.code.first_line},
      {at.code + 7U, layout.code.local_names},   {at.code + 8U, layout.code.local_kinds},
      {at.code + 9U, layout.code.instructions},
  };
  for (const auto& [index, expected] : fixed) {
    if (words[index] != expected) return false;
  }
  return true;
}

/// The interpreters, the newest first and the main one last; not all, if there are very many.
std::vector<Address> interpreters_from(const Memory& memory, const PythonLayout& layout, Address newest) {
  constexpr std::size_t most = 256;
  std::vector<Address> all;
  while (newest != 0 && newest % alignof(Address) == 0 && all.size() < most) {
    all.push_back(newest);
    const auto next = memory.read_value<Address>(newest + layout.interpreter.next);
    newest = next.ok() ? *next : 0;
  }
  return all;
}

/// Whether an interpreter's first thread says that it belongs to that interpreter. The main one always has a
/// thread, except for moments at its beginning and end; others only while something runs in them.
bool threads_fit(const Memory& memory, const PythonLayout& layout, Address interpreter) {
  const auto thread = memory.read_value<Address>(interpreter + layout.interpreter.threads_head);
  if (!thread.ok() || *thread == 0 || *thread % alignof(Address) != 0) return false;
  const auto owner = memory.read_value<Address>(*thread + layout.thread.interp);
  return owner.ok() && *owner == interpreter;
}

/// PyInterpreterState is internal, and its first fields have moved between patch releases: when the thread is
/// not where the table says, it is looked for.
bool calibrate(const Memory& memory, PythonLayout& layout, Address newest) {
  constexpr int retries = 3;
  const auto any_fits = [&](const PythonLayout& tried) {
    return std::ranges::any_of(interpreters_from(memory, tried, newest),
                               [&](Address interpreter) { return threads_fit(memory, tried, interpreter); });
  };
  for (int attempt = 0; attempt < retries; ++attempt) {
    if (any_fits(layout)) return true;
  }
  constexpr std::uint16_t search_size = 0x200;
  PythonLayout moved = layout;
  for (std::uint16_t offset = 0; offset < search_size; offset += sizeof(Address)) {
    moved.interpreter.threads_head = offset;
    if (!any_fits(moved)) continue;
    layout = moved;
    return true;
  }
  return false;
}

/// Takes over what the interpreter publishes. An empty optional: nothing against it.
std::optional<Error> read_published(const Memory& memory, PythonRuntime& python) {
  const auto at = published_indexes(python.version);
  if (!at) return std::nullopt;
  const auto words = memory.read_value<PublishedWords>(python.runtime);
  if (!words.ok()) {
    return refusal(ErrorCode::unreadable, python,
                   fmt::format("its _PyRuntime at {:#x} cannot be read", python.runtime));
  }
  python.free_threaded = python.free_threaded || (*words)[free_threaded_index] != 0;
  if (python.free_threaded) return std::nullopt;
  if (!take_over(python.layout, *words, *at)) {
    return refusal(
        ErrorCode::unsupported, python,
        fmt::format("CPython {} says of itself that its frames are laid out otherwise than those of "
                    "3.{} that this program knows",
                    python.version.text(), python.version.minor()));
  }
  return std::nullopt;
}

PythonTypes find_types(const Symbols& symbols) {
  PythonTypes types;
  types.code = symbols.find("PyCode_Type");
  types.string = symbols.find("PyUnicode_Type");
  types.bytes = symbols.find("PyBytes_Type");
  types.integer = symbols.find("PyLong_Type");
  types.boolean = symbols.find("PyBool_Type");
  types.floating = symbols.find("PyFloat_Type");
  types.tuple = symbols.find("PyTuple_Type");
  types.list = symbols.find("PyList_Type");
  types.dictionary = symbols.find("PyDict_Type");
  types.cell = symbols.find("PyCell_Type");
  types.none = symbols.find("_Py_NoneStruct");
  return types;
}

/// Fills in version and layout, and checks them. An empty optional: it can be read.
std::optional<Error> recognise(const Target& target, const Module& module, const Symbols& symbols,
                               PythonRuntime& python) {
  const Memory& memory = target.memory();
  const auto version = find_python_version(memory, module, python.runtime, symbols.find("Py_Version"));
  if (!version.ok()) return refusal(version.error().code, python, version.error().message);
  python.version = version->version;
  python.free_threaded = version->free_threaded;
  const auto layout = python_layout(python.version);
  if (!layout) {
    return refusal(
        ErrorCode::unsupported, python,
        fmt::format("this program knows CPython 3.8 to 3.15, and it is {}", python.version.text()));
  }
  python.layout = *layout;
  if (auto against = read_published(memory, python)) return against;
  if (python.free_threaded) {
    return refusal(ErrorCode::unsupported, python,
                   fmt::format("it is {} without the GIL (free-threaded), whose frames this program does not "
                               "know yet",
                               python.version.text()));
  }
  return std::nullopt;
}

}  // namespace

PythonSearch find_python(const Target& target) {
  PythonSearch search;
  const Memory& memory = target.memory();
  std::optional<DynamicSymbols> main;
  for (const Module& module : target.modules()) {
    if (module.path.empty() || module.path != target.executable()) continue;
    auto tables = DynamicSymbols::find_tables(memory, module);
    if (tables.ok()) main = std::move(tables).value();
  }
  for (const Module& module : target.modules()) {
    const auto own = DynamicSymbols::find_tables(memory, module);
    if (!own.ok()) continue;
    const auto runtime = own->find("_PyRuntime");
    if (!runtime) continue;
    PythonRuntime python;
    python.module = module.path;
    python.module_start = module.start;
    const Symbols symbols(*own, main);
    python.runtime = symbols.find("_PyRuntime");
    if (auto against = recognise(target, module, symbols, python)) {
      search.refused.push_back(*std::move(against));
      continue;
    }
    const auto interpreter =
        memory.read_value<Address>(python.runtime + python.layout.runtime.interpreters_head);
    if (interpreter.ok() && *interpreter == 0) continue;  // has not started yet, or only a copy of it runs
    if (!interpreter.ok() || !calibrate(memory, python.layout, *interpreter)) {
      search.refused.push_back(refusal(
          ErrorCode::corrupt, python,
          fmt::format("the interpreters of CPython {} are not where they should be", python.version.text())));
      continue;
    }
    python.types = find_types(symbols);
    search.found.push_back(std::move(python));
  }
  return search;
}

}  // namespace coppice::inspect
