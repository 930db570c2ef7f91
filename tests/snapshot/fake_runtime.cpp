#include "fake_runtime.hpp"

#include <elf.h>

#include <array>
#include <cstring>

namespace coppice::inspect::testing {
namespace {

/// Every 64-bit field at a place of its own, in another order than the runtime's.
coppice_debug_greenlet_layout greenlet_layout() {
  coppice_debug_greenlet_layout layout{};
  layout.version = 8;
  layout.id = 0;
  layout.flags = 16;
  layout.state = 20;
  layout.stop = 24;
  layout.start = 32;
  layout.saved = 40;
  layout.copy = 48;
  layout.thread = 56;
  layout.parent = 64;
  layout.name = 72;
  layout.spawn_pc = 80;
  layout.spawner = 88;
  layout.switches = 96;
  layout.bytes_saved = 104;
  layout.bytes_restored = 112;
  layout.last_switch = 120;
  layout.waiting_value = 128;
  layout.waiting_kind = 136;
  return layout;
}

coppice_debug_thread_layout thread_layout() {
  coppice_debug_thread_layout layout{};
  layout.version = 0;
  layout.tid = 84;
  layout.current = 8;
  layout.main = 16;
  layout.stack_high = 24;
  layout.stack_low = 32;
  layout.bytes_copied = 40;
  layout.switches = 48;
  layout.ring = 56;
  layout.ring_capacity = 64;
  layout.ring_written = 72;
  return layout;
}

DebugTable debug_table(std::size_t greenlets) {
  DebugTable fields{};
  fields.magic = COPPICE_DEBUG_MAGIC;
  fields.abi_version = COPPICE_DEBUG_ABI_VERSION;
  fields.table_size = sizeof fields;
  fields.machine = EM_X86_64;
  fields.event_size = sizeof(coppice_event);
  fields.resume_pc = FakeRuntime::resume_pc;
  std::memset(fields.resume_slot, 0xff, sizeof fields.resume_slot);
  fields.resume_slot[x86_64::rbp] = 16;
  fields.resume_slot[x86_64::rbx] = 8;
  const std::uint64_t chunks = (greenlets + FakeRuntime::slots_per_chunk - 1) / FakeRuntime::slots_per_chunk;
  fields.greenlets = {4, FakeRuntime::chunk_list, chunks, FakeRuntime::slots_per_chunk,
                      FakeRuntime::slot_size};
  fields.threads = {2, FakeRuntime::thread_list, 1, 1, 96};
  fields.greenlet = greenlet_layout();
  fields.thread = thread_layout();
  fields.clock_start = {1000, 1'700'000'000'000'000'000};
  fields.clock_recent = {1000 + 4'000'000'000, 1'700'000'002'000'000'000};  // 2 ticks a nanosecond
  return fields;
}

/// ELF header, one PT_NOTE with a stranger's note and then ours.
void put_module(FakeMemory& memory) {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_DYN;
  header.e_machine = EM_X86_64;
  header.e_version = EV_CURRENT;
  header.e_ehsize = sizeof(Elf64_Ehdr);
  header.e_phoff = sizeof(Elf64_Ehdr);
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 1;

  struct Note {
    Elf64_Nhdr header;
    char name[8];
    std::array<std::byte, sizeof(std::int64_t)> content;  // not aligned to 8
  };
  constexpr Address notes = FakeRuntime::module_start + 0x200;
  Note both[2]{};
  both[0] = {{8, 8, COPPICE_NOTE_TYPE}, "Poppice", {}};
  both[1] = {{8, 8, COPPICE_NOTE_TYPE}, COPPICE_NOTE_NAME, {}};
  const Address content = notes + sizeof(Note) + offsetof(Note, content);
  const auto distance = static_cast<std::int64_t>(FakeRuntime::table - content);
  std::memcpy(both[1].content.data(), &distance, sizeof distance);
  Elf64_Phdr segment{};
  segment.p_type = PT_NOTE;
  segment.p_offset = segment.p_vaddr = 0x200;
  segment.p_filesz = segment.p_memsz = sizeof both;
  segment.p_align = 4;

  memory.put(FakeRuntime::module_start, std::vector<std::byte>(0x400));
  memory.put_value(FakeRuntime::module_start, header);
  memory.put_value(FakeRuntime::module_start + header.e_phoff, segment);
  memory.put_value(notes, both);
}

}  // namespace

Address FakeRuntime::slot(std::size_t number) const {
  // Chunks lie in memory in the opposite order of their list.
  const std::size_t chunk = number / slots_per_chunk;
  return chunks + (fields.greenlets.chunk_count - 1 - chunk) * 0x1000 + number % slots_per_chunk * slot_size;
}

FakeRuntime::FakeRuntime(const std::vector<FakeGreenlet>& greenlets) : fields(debug_table(greenlets.size())) {
  put_module(memory);
  put_table();
  memory.put(stack_low, std::vector<std::byte>(stack_high - stack_low, std::byte{0xee}));

  for (std::size_t chunk = 0; chunk < fields.greenlets.chunk_count; ++chunk) {
    memory.put_value(chunk_list + chunk * sizeof(Address), slot(chunk * slots_per_chunk));
    memory.put(slot(chunk * slots_per_chunk),
               std::vector<std::byte>(slots_per_chunk * std::size_t{slot_size}));
  }
  const coppice_debug_greenlet_layout& layout = fields.greenlet;
  for (std::size_t i = 0; i < greenlets.size(); ++i) {
    const FakeGreenlet& greenlet = greenlets[i];
    const Address at = slot(i);
    const auto put = [&](std::uint16_t offset, std::uint64_t value) { memory.put_value(at + offset, value); };
    put(layout.version, greenlet.version);
    put(layout.id, greenlet.id);
    memory.put_value(at + layout.state, greenlet.state);
    memory.put_value(at + layout.flags, greenlet.flags);
    put(layout.thread, greenlet.has_thread ? thread_slot : 0);
    put(layout.parent, greenlet.parent < 0 ? 0 : slot(static_cast<std::size_t>(greenlet.parent)));
    put(layout.start, greenlet.start);
    put(layout.stop, greenlet.stop);
    put(layout.saved, greenlet.saved);
    put(layout.copy, greenlet.saved > 0 ? copy(i) : 0);
    put(layout.spawn_pc, 0x402000 + i);
    put(layout.spawner, 1);
    put(layout.switches, 10 + i);
    put(layout.bytes_saved, 100 + i);
    put(layout.bytes_restored, 200 + i);
    put(layout.last_switch, greenlet.last_switch);
    put(layout.waiting_value, greenlet.waiting_value);
    const auto put_string = [&](std::uint16_t offset, Address where, const std::string& text) {
      if (text.empty()) return;
      put(offset, where);
      memory.put(where, std::as_bytes(std::span(text.c_str(), text.size() + 1)));
    };
    put_string(layout.name, names + i * names_step, greenlet.name);
    put_string(layout.waiting_kind, names + i * names_step + 0x180, greenlet.waiting_kind);
    std::vector<std::byte> saved(std::min<std::uint64_t>(greenlet.saved, heap_step));
    for (std::size_t byte = 0; byte < saved.size(); ++byte) saved[byte] = static_cast<std::byte>(byte);
    if (!saved.empty()) memory.put(copy(i), saved);
  }

  memory.put_value(thread_list, thread_slot);
  memory.put(thread_slot, std::vector<std::byte>(96));
  memory.put_value(thread_slot + fields.thread.tid, std::uint32_t{77});
  memory.put_value(thread_slot + fields.thread.stack_low, stack_low);
  memory.put_value(thread_slot + fields.thread.stack_high, stack_high);
  memory.put_value(thread_slot + fields.thread.switches, std::uint64_t{1234});
  memory.put_value(thread_slot + fields.thread.bytes_copied, std::uint64_t{5678});

  target.memory_ = &memory;
  Module module;
  module.start = module.bias = module_start;
  module.end = module_start + 0x10000;
  module.path = "/opt/demo/fake";
  target.modules_ = {module};
  target.threads_ = {{4242, 77, "fake", false}};
  ThreadRegisters registers;
  registers.registers.set(x86_64::rip, 0x401500);
  registers.registers.set(x86_64::rsp, stack_low + 0x1000);
  target.registers_[4242] = registers;
}

std::vector<FakeGreenlet> one_of_each() {
  constexpr Address top = FakeRuntime::stack_high;
  return {
      {.id = 1,
       .state = COPPICE_STATE_RUNNING,
       .flags = COPPICE_FLAG_MAIN,
       .stop = UINT64_MAX,
       .last_switch = 5000},
      {.id = 2,
       .parent = 0,
       .start = top - 0x1000,
       .stop = top - 0x800,
       .saved = 0x300,
       .name = "partly",
       .last_switch = 4000},
      {.id = 3,
       .parent = 1,
       .start = top - 0x900,
       .stop = top - 0x800,
       .saved = 0x100,
       .waiting_kind = "fd",
       .waiting_value = 9},
      {.id = 4, .parent = 0, .start = top - 0x2000, .stop = top - 0x1f00, .saved = 0},
      {.id = 5, .state = COPPICE_STATE_UNSTARTED, .parent = 0},
      {.id = 6, .state = COPPICE_STATE_FINISHED, .parent = 0},
      {.id = 17,
       .state = COPPICE_STATE_ORPHANED,
       .has_thread = false,
       .start = top - 0x40,
       .stop = top - 0x10,
       .saved = 0x30},
  };
}

}  // namespace coppice::inspect::testing
