#include "tests/oracle/libdw/libdw_oracle.hpp"

#include <elfutils/libdwfl.h>

#include <cstdlib>
#include <utility>

namespace coppice::oracle {

using inspect::Address;
using inspect::Error;
using inspect::ErrorCode;

namespace {

constexpr pid_t the_thread = 1;  // libdw unwinds threads; ours is whatever is being unwound

int find_no_elf(Dwfl_Module*, void**, const char*, Dwarf_Addr, char**, Elf**) {
  return -1;
}

// Not the standard one: that searches the disk and asks debuginfod.
int find_no_debuginfo(Dwfl_Module*, void**, const char*, Dwarf_Addr, const char*, const char*, GElf_Word,
                      char**) {
  return -1;
}

constexpr Dwfl_Callbacks callbacks{find_no_elf, find_no_debuginfo, nullptr, nullptr};

struct DwflEnd {
  void operator()(Dwfl* dwfl) const noexcept { dwfl_end(dwfl); }
};

/// What CFI says about the caller of a frame.
enum class Caller { no_cfi, none, some };

Caller caller_at(Dwfl* dwfl, Address pc) {
  Dwfl_Module* module = dwfl_addrmodule(dwfl, pc);
  Dwarf_Addr bias = 0;
  Dwarf_CFI* cfi = module ? dwfl_module_eh_cfi(module, &bias) : nullptr;
  Dwarf_Frame* frame = nullptr;
  if (!cfi || dwarf_cfi_addrframe(cfi, pc - bias, &frame) != 0) return Caller::no_cfi;
  const int return_address = dwarf_frame_info(frame, nullptr, nullptr, nullptr);
  Dwarf_Op scratch[3];
  Dwarf_Op* rule = nullptr;
  std::size_t length = 0;
  const bool known = dwarf_frame_register(frame, return_address, scratch, &rule, &length) == 0;
  std::free(frame);                                                // NOLINT: the documented way
  const bool undefined = known && length == 0 && rule == scratch;  // see dwarf_frame_register in libdw.h
  return undefined ? Caller::none : Caller::some;
}

}  // namespace

struct LibdwOracle::Impl {
  std::unique_ptr<Dwfl, DwflEnd> dwfl;
  std::vector<std::string> missing;

  // Of the walk going on.
  const inspect::Registers* registers = nullptr;
  const inspect::Memory* memory = nullptr;
  std::size_t max_frames = 0;
  LibdwStack stack;
  std::string failed_read;  // since the last frame

  static bool get_thread(Dwfl*, pid_t tid, void* self, void** argument) {
    *argument = self;
    return tid == the_thread;
  }
  static pid_t next_thread(Dwfl*, void* self, void** argument) {
    if (*argument == self) return 0;
    *argument = self;
    return the_thread;
  }
  static bool read_memory(Dwfl*, Dwarf_Addr address, Dwarf_Word* word, void* self) {
    auto& impl = *static_cast<Impl*>(self);
    auto value = impl.memory->read_value<std::uint64_t>(address);
    if (value.ok()) *word = *value;
    if (!value.ok()) impl.failed_read = value.error().message;
    return value.ok();
  }
  static bool set_registers(Dwfl_Thread* thread, void* argument) {
    const auto& registers = *static_cast<Impl*>(argument)->registers;
    for (int number = 0; number < inspect::x86_64::register_count; ++number) {
      const auto index = static_cast<unsigned>(number);
      const Dwarf_Word value = registers.known(index) ? registers.get(index) : 0;
      if (registers.known(index) && !dwfl_thread_state_registers(thread, number, 1, &value)) return false;
    }
    dwfl_thread_state_register_pc(thread, registers.pc());
    return true;
  }
  static int on_frame(Dwfl_Frame* frame, void* argument) {
    auto& self = *static_cast<Impl*>(argument);
    Dwarf_Addr pc = 0;
    bool exact = false;
    if (!dwfl_frame_pc(frame, &pc, &exact)) {
      self.stack.error = dwfl_errmsg(-1);
      return DWARF_CB_ABORT;
    }
    self.stack.frames.push_back({pc, exact});
    self.failed_read.clear();
    const auto caller = caller_at(self.dwfl.get(), exact ? pc : pc - 1);
    if (caller == Caller::none) self.stack.end = LibdwStack::End::outermost;
    if (caller == Caller::no_cfi) self.stack.end = LibdwStack::End::no_cfi;
    if (caller == Caller::some && self.stack.frames.size() >= self.max_frames) {
      self.stack.end = LibdwStack::End::too_deep;
    }
    return self.stack.end == LibdwStack::End::failed ? DWARF_CB_OK : DWARF_CB_ABORT;
  }
};

inspect::Result<LibdwOracle> LibdwOracle::open(const inspect::Target& target) {
  static constexpr Dwfl_Thread_Callbacks threads{Impl::next_thread,   Impl::get_thread, Impl::read_memory,
                                                 Impl::set_registers, nullptr,          nullptr};
  auto impl = std::make_unique<Impl>();
  impl->dwfl.reset(dwfl_begin(&callbacks));
  if (!impl->dwfl) return Error{ErrorCode::io, 0, dwfl_errmsg(-1)};
  dwfl_report_begin(impl->dwfl.get());
  for (const auto& module : target.modules()) {
    auto image = target.open_image(module);
    if (!image.ok()) {
      impl->missing.push_back(module.path + ": " + image.error().message);
      continue;
    }
    const char* name = module.path.c_str();
    if (dwfl_report_elf(impl->dwfl.get(), name, name, image->get(), module.bias, true)) {
      image->release();  // libdwfl's now
    } else {
      impl->missing.push_back(module.path + ": " + dwfl_errmsg(-1));
    }
  }
  dwfl_report_end(impl->dwfl.get(), nullptr, nullptr);
  if (!dwfl_attach_state(impl->dwfl.get(), nullptr, the_thread, &threads, impl.get())) {
    return Error{ErrorCode::corrupt, 0, dwfl_errmsg(-1)};
  }
  return LibdwOracle(std::move(impl));
}

LibdwOracle::LibdwOracle(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LibdwOracle::LibdwOracle(LibdwOracle&&) noexcept = default;
LibdwOracle& LibdwOracle::operator=(LibdwOracle&&) noexcept = default;
LibdwOracle::~LibdwOracle() = default;

const std::vector<std::string>& LibdwOracle::missing() const noexcept {
  return impl_->missing;
}

LibdwStack LibdwOracle::unwind(const inspect::Registers& registers, const inspect::Memory& memory,
                               std::size_t max_frames) {
  impl_->registers = &registers;
  impl_->memory = &memory;
  impl_->max_frames = max_frames;
  impl_->stack = {};
  impl_->failed_read.clear();
  const int result = dwfl_getthread_frames(impl_->dwfl.get(), the_thread, Impl::on_frame, impl_.get());
  // For libdw a caller that it could not find out is none, and no error.
  if (result == 0 && impl_->stack.error.empty()) {
    impl_->stack.error = impl_->failed_read.empty()
                             ? "a register that the caller's frame is found by is unknown"
                             : impl_->failed_read;
  } else if (result < 0 && impl_->stack.error.empty()) {
    impl_->stack.error = dwfl_errmsg(-1);
  }
  return std::exchange(impl_->stack, {});
}

}  // namespace coppice::oracle
