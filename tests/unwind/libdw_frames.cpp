#include "tests/unwind/libdw_frames.hpp"

#include <elfutils/libdwfl.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>

namespace coppice::inspect::testing {

struct LibdwUnwinder::Impl {
  Dwfl* dwfl = nullptr;
  const Capture* capture = nullptr;
  std::vector<ExpectedFrame> frames;
};

namespace {

pid_t next_thread(Dwfl*, void* impl, void** thread) {
  if (*thread != nullptr) return 0;
  *thread = impl;  // what set_registers gets
  return ::getpid();
}

template <class Impl>
bool read_word(Dwfl*, Dwarf_Addr address, Dwarf_Word* result, void* data) {
  const Capture& capture = *static_cast<Impl*>(data)->capture;
  if (address < capture.stack_start || address > capture.stack_stop - sizeof *result) return false;
  std::memcpy(result, capture.stack.data() + (address - capture.stack_start), sizeof *result);
  return true;
}

template <class Impl>
bool set_registers(Dwfl_Thread* thread, void* data) {
  const Capture& capture = *static_cast<Impl*>(data)->capture;
  for (int number = 0; number < x86_64::register_count; ++number) {
    const Dwarf_Word value = capture.registers.get(static_cast<unsigned>(number));
    if (!dwfl_thread_state_registers(thread, number, 1, &value)) return false;
  }
  return true;
}

template <class Impl>
int add_frame(Dwfl_Frame* frame, void* data) {
  Dwarf_Addr pc = 0;
  bool exact = false;
  if (!dwfl_frame_pc(frame, &pc, &exact)) return DWARF_CB_ABORT;
  static_cast<Impl*>(data)->frames.push_back({pc, 0, exact});
  return DWARF_CB_OK;
}

}  // namespace

LibdwUnwinder::LibdwUnwinder() : impl_(std::make_unique<Impl>()) {
  static char* debug_path = nullptr;
  static const Dwfl_Callbacks callbacks{dwfl_linux_proc_find_elf, dwfl_standard_find_debuginfo, nullptr,
                                        &debug_path};
  static const Dwfl_Thread_Callbacks threads{next_thread,         nullptr, read_word<Impl>,
                                             set_registers<Impl>, nullptr, nullptr};
  impl_->dwfl = dwfl_begin(&callbacks);
  if (impl_->dwfl == nullptr || dwfl_linux_proc_report(impl_->dwfl, ::getpid()) != 0 ||
      dwfl_report_end(impl_->dwfl, nullptr, nullptr) != 0 ||
      !dwfl_attach_state(impl_->dwfl, nullptr, ::getpid(), &threads, impl_.get())) {
    throw std::runtime_error(dwfl_errmsg(-1));
  }
}

LibdwUnwinder::~LibdwUnwinder() {
  dwfl_end(impl_->dwfl);
}

std::vector<ExpectedFrame> LibdwUnwinder::frames(const Capture& capture) {
  impl_->capture = &capture;
  impl_->frames.clear();
  dwfl_getthread_frames(impl_->dwfl, ::getpid(), add_frame<Impl>, impl_.get());
  return impl_->frames;
}

}  // namespace coppice::inspect::testing
