#include "inspect/worker/debug_info/dwarf_reader.hpp"

#include <dwarf.h>

#include "inspect/worker/debug_info/names.hpp"

namespace coppice::inspect {
namespace {

constexpr std::size_t kMaxUnits = 2'000'000;
constexpr std::size_t kMaxRanges = 16'000'000;
constexpr int kMaxDepth = 256;  ///< of nested entries; recursion in walks is bounded by it
constexpr std::uint64_t kMaxNameSearch = 1'000'000;  ///< entries looked at for one qualified name
constexpr int kMaxReferences = 16;  ///< abstract origins and specifications followed for one name

/// Steps through the children of an entry, forward only: a sibling reference that points backwards ends it.
class Children {
 public:
  Children(Dwarf_Die* parent, std::uint64_t& budget) : budget_(budget) {
    valid_ = dwarf_child(parent, &die_) == 0 && charge();
  }
  explicit operator bool() const noexcept { return valid_; }
  Dwarf_Die& die() noexcept { return die_; }
  void next() {
    Dwarf_Die following;
    valid_ = dwarf_siblingof(&die_, &following) == 0 && following.addr > die_.addr && charge();
    die_ = following;
  }

 private:
  bool charge() noexcept {
    if (budget_ == 0) return false;
    --budget_;
    return true;
  }
  std::uint64_t& budget_;
  Dwarf_Die die_{};
  bool valid_ = false;
};

/// Calls `visit(start, end)` for each address range of an entry.
template <class Visit>
void for_each_range(Dwarf_Die* die, Visit visit) {
  Dwarf_Addr base = 0, start = 0, end = 0;
  std::size_t count = 0;
  for (ptrdiff_t at = 0; (at = dwarf_ranges(die, at, &base, &start, &end)) > 0 && count < kMaxRanges;
       ++count) {
    visit(start, end);
  }
}

bool is_block(int tag) {
  return tag == DW_TAG_lexical_block || tag == DW_TAG_try_block || tag == DW_TAG_catch_block ||
         tag == DW_TAG_with_stmt;
}

bool is_scope_of_names(int tag) {
  return tag == DW_TAG_namespace || tag == DW_TAG_module || tag == DW_TAG_class_type ||
         tag == DW_TAG_structure_type || tag == DW_TAG_union_type || tag == DW_TAG_interface_type;
}

/// Languages whose functions have no enclosing scopes worth naming.
bool is_c(Dwarf_Die* unit) {
  const int language = dwarf_srclang(unit);
  return language == DW_LANG_C || language == DW_LANG_C89 || language == DW_LANG_C99 ||
         language == DW_LANG_C11 || language == DW_LANG_Mips_Assembler;
}

std::uint64_t unsigned_attribute(Dwarf_Die* die, unsigned name) {
  Dwarf_Attribute attribute;
  Dwarf_Word value = 0;
  if (!dwarf_attr(die, name, &attribute) || dwarf_formudata(&attribute, &value) != 0) return 0;
  return value;
}

/// Where a function is first declared: behind its abstract instance, inside its namespace or class.
Dwarf_Die declaration_of(Dwarf_Die die) {
  for (int i = 0; i < kMaxReferences; ++i) {
    Dwarf_Attribute attribute;
    Dwarf_Die next;
    if (!dwarf_attr(&die, DW_AT_abstract_origin, &attribute) &&
        !dwarf_attr(&die, DW_AT_specification, &attribute)) {
      break;
    }
    if (!dwarf_formref_die(&attribute, &next)) break;
    die = next;
  }
  return die;
}

/// The name with its namespaces, classes and functions around it, for what has no linkage name.
std::string qualified_name(Dwarf_Die declaration, int depth) {
  const char* own = dwarf_diename(&declaration);
  if (!own) return {};
  Dwarf_Die scope;
  if (depth > kMaxReferences || !dwarf_diecu(&declaration, &scope, nullptr, nullptr) || is_c(&scope)) {
    return bounded_name(own);
  }
  // Entries do not know their parents: descend to this one, which always lies between a parent and its
  // sibling.
  std::string scopes;
  std::uint64_t budget = kMaxNameSearch;
  for (int level = 0; level < kMaxDepth; ++level) {
    Dwarf_Die inside{};
    for (Children child(&scope, budget); child && child.die().addr <= declaration.addr; child.next()) {
      inside = child.die();
    }
    if (!inside.addr || inside.addr == declaration.addr) break;
    scope = inside;
    const int tag = dwarf_tag(&scope);
    if (tag == DW_TAG_subprogram) scopes = qualified_name(declaration_of(scope), depth + 1) + "::";
    if (!is_scope_of_names(tag) || scopes.size() > max_name) continue;
    const char* name = dwarf_diename(&scope);
    scopes += name ? name : tag == DW_TAG_namespace ? "(anonymous namespace)" : "{unnamed type}";
    scopes += "::";
  }
  return bounded_name(scopes + own);
}

const char* linkage_name(Dwarf_Die function) {
  for (const unsigned kind : {DW_AT_linkage_name, DW_AT_MIPS_linkage_name}) {
    Dwarf_Attribute attribute;
    if (dwarf_attr_integrate(&function, kind, &attribute)) return dwarf_formstring(&attribute);
  }
  return nullptr;
}

bool is_mangled(std::string_view name) {
  return name.starts_with("_Z");
}

/// Whether the symbol at an address is a better name for the function there (null: DWARF knows none) than
/// `name`:
/// - DWARF has no name at all;
/// - a static C++ function has no linkage name, and with it no parameters: its symbol has both;
/// - an exported C function may have many names, of which DWARF gives the one in its source ("__libc_malloc")
///   and the symbol the one that is called ("malloc").
bool symbol_names_better(const FoundSymbol& symbol, Dwarf_Die* function, std::string_view name) {
  if (!function) return true;
  if (dwarf_haspc(function, symbol.start) != 1) return false;
  if (name.empty()) return true;
  const char* linkage = linkage_name(*function);
  if (linkage && is_mangled(linkage)) return false;
  bool at_start = false;
  for_each_range(function,
                 [&](Dwarf_Addr start, Dwarf_Addr) { at_start = at_start || start == symbol.start; });
  return is_mangled(symbol.name) || (symbol.exported && at_start);
}

/// From the function that holds the address to the innermost inlined call there, outermost first.
bool descend(Dwarf_Die* scope, std::uint64_t address, std::vector<Dwarf_Die>& chain, std::uint64_t& budget,
             int depth) {
  if (depth > kMaxDepth) return false;
  for (Children child(scope, budget); child; child.next()) {
    const int tag = dwarf_tag(&child.die());
    const bool frame = tag == DW_TAG_inlined_subroutine || tag == DW_TAG_subprogram;
    if (!frame && !is_block(tag)) continue;
    if (dwarf_haspc(&child.die(), address) == 1) {
      if (tag == DW_TAG_subprogram) chain.clear();  // a nested function: its frame is its own
      if (frame) chain.push_back(child.die());
      descend(&child.die(), address, chain, budget, depth + 1);
      return true;
    }
    // A block may have lost its own addresses to the optimiser and yet hold inlined calls that have theirs.
    const bool addressless = is_block(tag) && !dwarf_hasattr(&child.die(), DW_AT_low_pc) &&
                             !dwarf_hasattr(&child.die(), DW_AT_ranges);
    if (addressless && descend(&child.die(), address, chain, budget, depth + 1)) return true;
  }
  return false;
}

/// A path of a line table; a relative one is meant from where the compiler ran.
std::string source_path(Dwarf_Die* unit, const char* file) {
  std::string path = file;
  while (path.starts_with("./")) path.erase(0, 2);
  Dwarf_Attribute attribute;
  const char* directory = nullptr;
  if (!path.starts_with('/') && dwarf_attr(unit, DW_AT_comp_dir, &attribute)) {
    directory = dwarf_formstring(&attribute);
  }
  if (directory && *directory) path = std::string(directory) + '/' + path;
  return bounded_name(path);
}

void set_line(SourceFrame& frame, Dwarf_Die* unit, std::uint64_t address) {
  Dwarf_Line* row = dwarf_getsrc_die(unit, address);
  if (!row) return;
  if (const char* file = dwarf_linesrc(row, nullptr, nullptr)) frame.file = source_path(unit, file);
  int line = 0;
  if (dwarf_lineno(row, &line) == 0 && line > 0) frame.line = static_cast<std::uint32_t>(line);
}

/// Where an inlined call was made: the line of the frame around it.
void set_call_line(SourceFrame& frame, Dwarf_Die* unit, Dwarf_Die* inlined) {
  frame.line = static_cast<std::uint32_t>(unsigned_attribute(inlined, DW_AT_call_line));
  Dwarf_Files* files = nullptr;
  std::size_t count = 0;
  Dwarf_Attribute attribute;
  if (!dwarf_attr(inlined, DW_AT_call_file, &attribute) || dwarf_getsrcfiles(unit, &files, &count) != 0)
    return;
  const auto index = unsigned_attribute(inlined, DW_AT_call_file);
  const char* file = index < count ? dwarf_filesrc(files, index, nullptr, nullptr) : nullptr;
  if (file) frame.file = source_path(unit, file);
}

}  // namespace

std::unique_ptr<DwarfReader> DwarfReader::open(const ElfFile& elf, const ElfFile* alternate,
                                               const CodeRanges& code) {
  std::unique_ptr<DwarfReader> reader(new DwarfReader);
  reader->dwarf_.reset(dwarf_begin_elf(elf.elf(), DWARF_C_READ, nullptr));
  if (!reader->dwarf_) return nullptr;
  if (alternate) {
    reader->alternate_.reset(dwarf_begin_elf(alternate->elf(), DWARF_C_READ, nullptr));
    if (reader->alternate_) dwarf_setalt(reader->dwarf_.get(), reader->alternate_.get());
  }
  reader->code_ = &code;
  reader->index_units(code);
  return reader;
}

void DwarfReader::index_units(const CodeRanges& code) {
  Dwarf_Off at = 0, next = 0;
  std::size_t header = 0, ranges = 0;
  Dwarf_Half version = 0;
  while (units_.size() < kMaxUnits && dwarf_next_unit(dwarf_.get(), at, &next, &header, &version, nullptr,
                                                      nullptr, nullptr, nullptr, nullptr) == 0) {
    Unit unit;
    unit.size = next > at ? next - at : 0;
    const auto root = at + header;
    at = next;
    if (unit.size == 0) break;
    if (!dwarf_offdie(dwarf_.get(), root, &unit.root)) continue;
    const int tag = dwarf_tag(&unit.root);
    if (tag != DW_TAG_compile_unit && tag != DW_TAG_skeleton_unit) continue;
    unit.split = dwarf_hasattr(&unit.root, DW_AT_dwo_name) || dwarf_hasattr(&unit.root, DW_AT_GNU_dwo_name);
    for_each_range(&unit.root, [&](Dwarf_Addr start, Dwarf_Addr end) {
      if (++ranges < kMaxRanges && code.at(start)) unit_ranges_.add(start, end, units_.size());
    });
    units_.push_back(std::move(unit));
  }
  unit_ranges_.finish();
}

DwarfReader::Unit* DwarfReader::unit_at(std::uint64_t address) {
  Unit* first = nullptr;
  Unit* holder = nullptr;
  // Where units overlap, the one with a function there is meant.
  unit_ranges_.visit_covering(address, [&](const RangeIndex<std::size_t>::Range& range) {
    Unit& unit = units_[range.value];
    if (!first) first = &unit;
    if (function_at(unit, address)) holder = &unit;
    return holder != nullptr;
  });
  return holder ? holder : first;
}

std::optional<Dwarf_Die> DwarfReader::function_at(Unit& unit, std::uint64_t address) {
  for (const bool deeply : {false, true}) {
    index_functions(unit, deeply);
    std::optional<Dwarf_Die> found;
    unit.functions.visit_covering(address, [&](const RangeIndex<Dwarf_Die>::Range& range) {
      found = range.value;
      return true;
    });
    if (found) return found;
  }
  return std::nullopt;
}

void DwarfReader::index_functions(Unit& unit, bool deeply) {
  if (deeply ? unit.indexed_deeply : unit.indexed) return;
  (deeply ? unit.indexed_deeply : unit.indexed) = true;
  RangeIndex<Dwarf_Die> functions;
  std::uint64_t budget = unit.size;
  // Functions stand at the top or in namespaces; inside types and other functions only in a few languages
  // (nested functions of GNU C), so those are entered only when a first look found nothing.
  const auto walk = [&](const auto& self, Dwarf_Die* parent, int depth) -> void {
    if (depth > kMaxDepth) return;
    for (Children child(parent, budget); child; child.next()) {
      Dwarf_Die die = child.die();
      const int tag = dwarf_tag(&die);
      if (tag == DW_TAG_subprogram) {
        for_each_range(&die, [&](Dwarf_Addr start, Dwarf_Addr end) {
          if (functions.size() < kMaxRanges && code_->at(start)) functions.add(start, end, die);
        });
      }
      const bool shallow = tag == DW_TAG_namespace || tag == DW_TAG_module;
      const bool deep = is_scope_of_names(tag) || is_block(tag) || tag == DW_TAG_subprogram;
      if (deeply ? deep : shallow) self(self, &die, depth + 1);
    }
  };
  walk(walk, &unit.root, 0);
  functions.finish();
  unit.functions = std::move(functions);
}

std::string DwarfReader::function_name(Dwarf_Die function) {
  const Dwarf_Die origin = declaration_of(function);
  if (const auto known = names_.find(origin.addr); known != names_.end()) return known->second;
  std::string name;
  // Linkage names of other languages than C++ are no better than what DWARF says: "__GI_raise" of glibc is
  // raise.
  if (const char* linkage = linkage_name(function); linkage && is_mangled(linkage)) {
    name = readable_name(linkage);
    if (is_mangled(name)) name.clear();  // too long or too odd to be demangled
  }
  if (name.empty()) name = qualified_name(origin, 0);
  names_.emplace(origin.addr, name);
  return name;
}

std::vector<SourceFrame> DwarfReader::at(std::uint64_t address, const std::optional<FoundSymbol>& symbol) {
  std::vector<SourceFrame> frames;
  Unit* unit = unit_at(address);
  if (!unit) return frames;
  if (unit->split) met_split_unit_ = true;

  std::vector<Dwarf_Die> chain;
  if (auto function = function_at(*unit, address)) {
    std::uint64_t budget = unit->size;
    chain.push_back(*function);
    descend(&*function, address, chain, budget, 0);
  }
  SourceFrame frame;
  set_line(frame, &unit->root, address);
  for (auto die = chain.rbegin(); die != chain.rend(); ++die) {
    frame.function = function_name(*die);
    frame.inlined = die + 1 != chain.rend();
    frames.push_back(std::move(frame));
    frame = {};
    if (frames.back().inlined) set_call_line(frame, &unit->root, &*die);
  }
  if (chain.empty()) frames.push_back(std::move(frame));

  if (symbol &&
      symbol_names_better(*symbol, chain.empty() ? nullptr : &chain.front(), frames.back().function)) {
    frames.back().function = readable_name(symbol->name);
  }
  return frames;
}

}  // namespace coppice::inspect
