#include "tests/greenlets/fake_cpython.hpp"

#include <elf.h>
#include <fmt/format.h>

#include <array>
#include <cstring>

namespace coppice::inspect::testing {
namespace {

struct Export {
  const char* name;
  Address address;
  std::uint64_t size;
};

constexpr std::array exports{
    Export{"PyGreenlet_Type", FakeCpython::type, 0x198},
    Export{"PyInit__greenlet", FakeCpython::text, 0x20},
    Export{"_ZTVN8greenlet12UserGreenletE", FakeCpython::user_vtable - 16, 0x40},
    Export{"_ZTVN8greenlet12MainGreenletE", FakeCpython::main_vtable - 16, 0x40},
    Export{"_ZTVN8greenlet14BrokenGreenletE", FakeCpython::broken_vtable - 16, 0x40},
};
constexpr std::size_t flat_exports = 2;

constexpr Address at_dynamic = FakeCpython::module_start + 0x200;
constexpr Address at_hash = FakeCpython::module_start + 0x300;
constexpr Address at_symbols = FakeCpython::module_start + 0x400;
constexpr Address at_strings = FakeCpython::module_start + 0x600;

}  // namespace

FakeCpython::FakeCpython(const FakeBuild& of, const std::vector<FakePyGreenlet>& greenlets) : build(of) {
  memory.put(module_start, std::vector<std::byte>(module_end - module_start));
  memory.put(heap, std::vector<std::byte>(heap_end - heap));
  std::vector<std::uint64_t> stack((stack_high - stack_low) / 8);
  for (std::size_t i = 0; i < stack.size(); ++i) stack[i] = 0xee00 + i;
  memory.put(stack_low, std::as_bytes(std::span(stack)));
  put_module();
  put_types();
  put_code();
  for (std::size_t i = 0; i < greenlets.size(); ++i) put_greenlet(i, greenlets[i]);

  Module module;
  module.start = module_start;
  module.end = module_end;
  module.bias = module_start;
  module.path = "/opt/site-packages/greenlet/_greenlet.so";
  module.segments = {{0, 0x1000, 0, 0x1000, true, false, false},
                     {0x1000, text_end - text, 0x1000, text_end - text, true, false, true},
                     {0x2000, 0x1000, 0x2000, 0x1000, true, true, false}};
  target.modules_ = {module};
  target.mappings_ = {{module_start, text, true, false, false, 0, module.path},
                      {text, data, true, false, true, 0x1000, module.path},
                      {data, module_end, true, true, false, 0x2000, module.path},
                      {heap, heap_end, true, true, false, 0, "[heap]"},
                      {stack_low, stack_high, true, true, false, 0, "[stack]"}};
  target.threads_ = {{tid, std::nullopt, "fake", false}};
  ThreadRegisters registers;
  registers.registers.set(x86_64::rsp, thread_sp);
  registers.registers.set(x86_64::rip, text + 0x40);
  target.registers_ = {{tid, registers}};
  target.memory_ = &memory;
}

FakeCpython::FakeCpython(const FakeCpython& other)
    : memory(other.memory), target(other.target), build(other.build) {
  target.memory_ = &memory;
}

std::string FakeCpython::id(std::size_t number) const {
  return fmt::format("{:#x}", object(number));
}

void FakeCpython::put_module() {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = ET_DYN;
  header.e_machine = EM_X86_64;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 1;
  memory.put_value(module_start, header);
  Elf64_Phdr dynamic{};
  dynamic.p_type = PT_DYNAMIC;
  dynamic.p_vaddr = at_dynamic - module_start;
  memory.put_value(module_start + sizeof header, dynamic);

  std::string strings(1, '\0');
  std::uint32_t count = 1;
  for (const Export& symbol : exports) {
    if (count > (flat() ? flat_exports : exports.size())) break;
    Elf64_Sym entry{};
    entry.st_name = static_cast<Elf64_Word>(strings.size());
    entry.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT);
    entry.st_shndx = 1;
    entry.st_value = symbol.address - module_start;
    entry.st_size = symbol.size;
    memory.put_value(at_symbols + count * sizeof entry, entry);
    strings += symbol.name;
    strings += '\0';
    ++count;
  }
  memory.put(at_strings, std::as_bytes(std::span(strings)));
  // One bucket, in which all symbols follow each other.
  std::vector<std::uint32_t> hash{1, count, 1, 0};
  for (std::uint32_t i = 1; i < count; ++i) hash.push_back(i + 1 < count ? i + 1 : 0);
  memory.put(at_hash, std::as_bytes(std::span(hash)));
  const std::array<Elf64_Dyn, 5> entries{{{DT_HASH, {at_hash - module_start}},
                                          {DT_SYMTAB, {at_symbols}},
                                          {DT_STRTAB, {at_strings}},
                                          {DT_STRSZ, {strings.size()}},
                                          {DT_NULL, {0}}}};
  memory.put(at_dynamic, std::as_bytes(std::span(entries)));
}

void FakeCpython::put_types() {
  constexpr std::uint64_t ready = 1U << 12U, of_types = 1U << 31U;
  const std::uint64_t size = !flat()                    ? 40
                             : build.python_minor >= 11 ? 0xb0
                             : build.python_minor == 10 ? 0xa0
                                                        : 0x98;
  const auto put_type = [&](Address at, Address base, const char* name, Address name_at,
                            std::uint64_t flags) {
    put(at, 5);
    put(at + 0x08, metatype);
    put(at + 0x18, name_at);
    put(at + 0x20, size);
    put(at + 0xa8, flags);
    put(at + 0x100, base);
    memory.put(name_at, std::as_bytes(std::span(name, std::strlen(name) + 1)));
  };
  put_type(type, 0, "greenlet.greenlet", names, ready);
  put_type(derived_type, type, "gevent.Greenlet", names + 0x40, ready);
  put_type(metatype, 0, "type", names + 0x80, ready | of_types);
}

void FakeCpython::put_code() {
  // add %rax,%rsp; add %rax,%rbp; call; xor %rax,%rax; mov slot,%rbx; mov slot,%rbp
  std::vector<std::uint8_t> code{0x48, 0x01, 0xc4, 0x48, 0x01, 0xc5, 0xe8, 0, 0, 0, 0, 0x48, 0x31, 0xc0};
  if (build.frame_pointers) {
    code.insert(code.end(), {0x48, 0x8b, 0x5d, 0xe0, 0x48, 0x8b, 0xad, 0xd0, 0xff, 0xff, 0xff});
  } else {
    code.insert(code.end(), {0x48, 0x8b, 0x5c, 0x24, 0x10, 0x48, 0x8b, 0xac, 0x24, 0x08, 0, 0, 0});
  }
  memory.put(resume_pc - 11, std::as_bytes(std::span(code)));
  // The call of slp_switch(), from text + 0x200 on.
  const auto distance = static_cast<std::int32_t>(slp_switch - (text + 0x205));
  memory.put_value(text + 0x200, std::uint8_t{0xe8});
  memory.put_value(text + 0x201, distance);
}

void FakeCpython::put_greenlet(std::size_t number, const FakePyGreenlet& greenlet) {
  const Address at = pimpl(number), self = object(number);
  // The garbage collector's list: it goes through every object and is closed by the first.
  put(self - 16, object(number + 1) - 16);
  put(self - 8, number == 0 ? self - 16 : object(number - 1) - 16);
  put(self, 2);
  put(self + 0x08, greenlet.derived ? derived_type : type);
  const std::uint16_t start = start_offset();
  put(at + start, greenlet.start);
  put(at + start + 0x08, greenlet.stop);
  put(at + start + 0x10, greenlet.saved != 0 ? copy(number) : 0);
  put(at + start + 0x18, greenlet.saved);
  memory.put(copy(number), std::vector<std::byte>(static_cast<std::size_t>(greenlet.saved),
                                                  static_cast<std::byte>(number + 1)));
  const Address parent = greenlet.parent >= 0 ? object(static_cast<std::size_t>(greenlet.parent)) : 0;
  const Address main = greenlet.thread >= 0 ? object(static_cast<std::size_t>(greenlet.thread)) : 0;
  const Address top = greenlet.top_frame && greenlet.start > 1 ? frame_object(number) : 0;
  if (top != 0) put(top + 0x18, frame(number));
  if (flat()) {
    put(at + 0x38, parent);
    put(at + 0x40, main);  // any address will do for a dict
    put(at + 0x48, top);
    if (build.python_minor >= 11 && top != 0) put(at + 0x58, frame(number));
    return;
  }
  const KnownLayout& layout = *build.known;
  put(self + 0x20, at);
  put(at, greenlet.main ? main_vtable : user_vtable);
  put(at + layout.self, self);
  put(at + layout.top_frame, top);
  if (layout.current_frame != 0 && top != 0) put(at + layout.current_frame, frame(number));
  if (greenlet.main) {
    const bool exited = greenlet.stop != UINT64_MAX;
    if (layout.self == 8) put(at + layout.main, self);
    put(at + layout.thread_state, exited ? 0 : thread_state(number));
    put(thread_state(number), self);
    put(thread_state(number) + 8, self);
  } else {
    put(at + layout.main, main);
    put(at + layout.main + 0x10, parent);
  }
}

std::vector<FakePyGreenlet> one_of_each_kind() {
  constexpr Address base = FakeCpython::stack_low + 0x2000;
  return {
      {.main = true, .start = base + 0x100, .stop = UINT64_MAX, .saved = 0x80},
      {.parent = 0, .start = base - 0x400, .stop = base, .top_frame = false},
      {.parent = 0, .start = base - 0x300, .stop = base, .saved = 0x300},
      {.derived = true, .parent = 0, .start = base + 0x10, .stop = base + 0x80},
      {.thread = -1, .parent = 2},
      {.parent = 0, .stop = base},
      {.thread = 7, .parent = 7, .start = base - 0x200, .stop = base, .saved = 0x200},
      {.main = true, .thread = 7, .start = 0, .stop = base},
  };
}

}  // namespace coppice::inspect::testing
